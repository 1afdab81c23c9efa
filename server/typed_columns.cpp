#include "server/typed_columns.h"

#include <algorithm>
#include <cmath>

#include "server/json_text.h"

namespace covey::server {
namespace {

agg::Value cell_of(const Number& number, agg::ColumnType type) {
  if (type == agg::ColumnType::kInt64 && !number.is_float) return number.integer;
  if (type != agg::ColumnType::kFloat64) return {};
  const auto real = static_cast<double>(number.real);
  return std::isfinite(real) ? agg::Value(real) : agg::Value();
}

bool fits(const Change& change, ColumnType type) {
  switch (change.kind) {
    case ChangeKind::set_field:
    case ChangeKind::set_field_if_absent:
      return !agg::is_null(column_value(change.value, library_type(type)));
    case ChangeKind::increment_field:
      return type != ColumnType::string;
    case ChangeKind::increment_field_float:
      return type == ColumnType::float64;
    default:
      return true;
  }
}

}  // namespace

std::optional<std::string> field_of(std::string_view path) {
  if (!path.starts_with('/') || path.find('/', 1) != std::string_view::npos) return std::nullopt;
  std::string out;
  for (size_t i = 1; i < path.size(); ++i) {
    const bool escaped = path[i] == '~' && i + 1 < path.size();
    out.push_back(!escaped ? path[i] : path[i + 1] == '1' ? '/' : '~');
    i += escaped ? 1 : 0;
  }
  return out;
}

agg::Value column_value(std::string_view text, agg::ColumnType type) {
  if (type == agg::ColumnType::kString)
    return text.size() <= agg::kStringBytesMax ? agg::Value(std::string(text)) : agg::Value();
  auto number = is_json_number(text) ? covey::parse_number(text) : std::nullopt;
  return number ? cell_of(*number, type) : agg::Value();
}

std::vector<agg::Value> typed_row(const std::vector<TypedColumn>& columns, const Object& live, Type type) {
  std::vector<agg::Value> row(columns.size());
  std::optional<Number> whole;
  if (type == Type::counter) whole = counter_value(live);
  if (type == Type::set) whole = Number::of(static_cast<int64_t>(members(live).size()));
  const auto all = type == Type::hash ? fields(live) : std::map<std::string_view, std::string>();
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].whole && whole) row[i] = cell_of(*whole, columns[i].type);
    if (!columns[i].field) continue;
    if (auto at = all.find(*columns[i].field); at != all.end())
      row[i] = column_value(at->second, columns[i].type);
  }
  return row;
}

std::optional<std::string> check_columns(const TableDefinition& table, const std::vector<Change>& changes) {
  for (const ColumnDefinition& column : table.columns) {
    const auto field = field_of(column.path);
    for (const Change& change : changes) {
      if (!field || change.name != *field || fits(change, column.type)) continue;
      return "Column \"" + column.name + "\" at " + column.path + " must be " + wanted_for(column.type) + ".";
    }
  }
  return std::nullopt;
}

}  // namespace covey::server
