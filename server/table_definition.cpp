#include "server/table_definition.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>

#include "gpu/value.h"
#include "server/json_text.h"
#include "server/text.h"

namespace covey::server {
namespace {

using nlohmann::json;

constexpr size_t columns_max = agg::kColumnsMax;
constexpr std::array<const char*, 3> type_names = {"int64", "float64", "string"};

bool name_characters(std::string_view name) {
  auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.';
  };
  return std::all_of(name.begin(), name.end(), allowed);
}

std::string unknown_member(const json& object, std::initializer_list<const char*> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) return key;
  }
  return {};
}

bool is_pointer(const std::string& path) {
  if (path.empty()) return true;  // a counter's number, a set's size
  if (path.front() != '/' || path.size() > 256) return false;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '~' && (i + 1 == path.size() || (path[i + 1] != '0' && path[i + 1] != '1'))) return false;
  }
  return true;
}

Result<ColumnDefinition, std::string> parse_column(const json& column) {
  if (!column.is_object()) return std::string("each column must be an object with name, path and type");
  std::string unknown = unknown_member(column, {"name", "path", "type"});
  if (!unknown.empty())
    return "a column has the unknown member \"" + unknown + "\"; allowed are name, path and type";
  ColumnDefinition out;
  if (!column.contains("name") || !column["name"].is_string())
    return std::string("a column needs a \"name\"");
  out.name = column["name"].get<std::string>();
  if (!is_table_name(out.name)) return std::string("a column's name ") + table_name_form;
  out.path = "/" + out.name;
  if (column.contains("path")) {
    if (!column["path"].is_string() || !is_pointer(column["path"].get<std::string>())) {
      return "the path of column \"" + out.name +
             "\" must be a JSON pointer like \"/temp\", or empty for counters and sets";
    }
    out.path = column["path"].get<std::string>();
  }
  std::string type =
      column.contains("type") && column["type"].is_string() ? column["type"].get<std::string>() : "";
  auto found = std::find(type_names.begin(), type_names.end(), type);
  if (found == type_names.end()) {
    return "the type of column \"" + out.name + "\" must be \"int64\", \"float64\" or \"string\"";
  }
  out.type = static_cast<ColumnType>(found - type_names.begin());
  return out;
}

std::string text_of(const TableDefinition& table) {
  json columns = json::array();
  for (const ColumnDefinition& column : table.columns) {
    columns.push_back({{"name", column.name},
                       {"path", column.path},
                       {"type", type_names[static_cast<size_t>(column.type)]}});
  }
  json out = {{"conflicts", table.conflicts == Conflicts::last_write_wins ? "lww" : "siblings"},
              {"columns", columns}};
  return out.dump();
}

// false: it is of another type.
bool take(const simdjson::dom::element& field, ColumnType type, agg::Value& out) {
  if (field.is_null()) return true;
  switch (type) {
    case ColumnType::int64: {
      int64_t number = 0;
      if (field.get(number) != simdjson::SUCCESS) return false;
      out = number;
      return true;
    }
    case ColumnType::float64: {
      double number = 0;
      if (field.get(number) != simdjson::SUCCESS) return false;
      out = number;
      return true;
    }
    case ColumnType::string: {
      std::string_view text;
      if (field.get(text) != simdjson::SUCCESS || text.size() > agg::kStringBytesMax) return false;
      out = std::string(text);
      return true;
    }
  }
  return false;
}

}  // namespace

agg::ColumnType library_type(ColumnType type) {
  switch (type) {
    case ColumnType::int64:
      return agg::ColumnType::kInt64;
    case ColumnType::float64:
      return agg::ColumnType::kFloat64;
    case ColumnType::string:
      break;
  }
  return agg::ColumnType::kString;
}

const char* wanted_for(ColumnType type) {
  switch (type) {
    case ColumnType::int64:
      return "a whole number of 64 bits";
    case ColumnType::float64:
      return "a number that 64 bits hold";
    case ColumnType::string:
      return "a string of at most 1,024 bytes";
  }
  return "";
}

bool is_table_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name_characters(name);
}

Result<TableDefinition, std::string> parse_table_definition(const json& definition) {
  if (!definition.is_object()) return std::string("a table's definition must be a JSON object");
  std::string unknown = unknown_member(definition, {"conflicts", "columns"});
  if (!unknown.empty()) return "\"" + unknown + "\" is not known here; allowed are conflicts and columns";
  TableDefinition out;
  if (definition.contains("conflicts")) {
    const json& conflicts = definition["conflicts"];
    if (conflicts != "siblings" && conflicts != "lww") {
      return "conflicts must be \"siblings\" or \"lww\", not " + conflicts.dump();
    }
    out.conflicts = conflicts == "lww" ? Conflicts::last_write_wins : Conflicts::siblings;
  }
  if (definition.contains("columns")) {
    const json& columns = definition["columns"];
    if (!columns.is_array() || columns.size() > columns_max) {
      return "columns must be an array of at most " + std::to_string(columns_max) + " columns";
    }
    std::set<std::string> names;
    for (const json& column : columns) {
      auto parsed = parse_column(column);
      if (!parsed) return parsed.error();
      if (!names.insert(parsed->name).second) return "two columns have the name \"" + parsed->name + "\"";
      out.columns.push_back(std::move(*parsed));
    }
  }
  out.text = text_of(out);
  return out;
}

Result<TableDefinition, std::string> parse_table_definition(std::string_view text) {
  if (nested_too_deeply(text))
    return "it must not be nested deeper than " + std::to_string(json_depth_max) + " levels";
  json parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded())
    return std::string("a table's definition must be a JSON object, and this is not JSON");
  return parse_table_definition(parsed);
}

std::optional<std::string> check_columns(const TableDefinition& table, std::string_view value,
                                         std::vector<agg::Value>* row) {
  thread_local simdjson::dom::parser parser;
  simdjson::dom::element document;
  bool stood_in = false;
  if (parse_json(parser, value, document, &stood_in) != simdjson::SUCCESS || !document.is_object()) {
    return "The value must be a JSON object, because its table has columns.";
  }
  std::vector<agg::Value> values(table.columns.size());
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const ColumnDefinition& column = table.columns[i];
    simdjson::dom::element field;
    if (column.path.empty()) continue;                                               // an object is no number
    if (document.at_pointer(column.path).get(field) != simdjson::SUCCESS) continue;  // missing is null
    if (!take(field, column.type, values[i])) {
      return "Column \"" + column.name + "\" at " + column.path + " must be " + wanted_for(column.type) +
             " or null.";
    }
  }
  if (row != nullptr) *row = stood_in ? std::vector<agg::Value>() : std::move(values);
  return std::nullopt;
}

}  // namespace covey::server
