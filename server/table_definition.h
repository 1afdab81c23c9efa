// What a table is: how it treats concurrent writes, and which fields of its values are numeric or text
// columns. Stored and gossiped as JSON, which the core does not look into.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/value.h"
#include "replication/object.h"
#include "replication/result.h"

namespace covey::server {

enum class ColumnType { int64, float64, string };
agg::ColumnType library_type(ColumnType type);  // that which gpu/ keeps it in
const char* wanted_for(ColumnType type);        // what a value of it has to be, for messages

struct ColumnDefinition {
  std::string name;
  std::string path;  // JSON pointer into the value
  ColumnType type = ColumnType::float64;
};

struct TableDefinition {
  Conflicts conflicts = Conflicts::siblings;
  std::vector<ColumnDefinition> columns;
  std::string text;  // the normalized JSON: {"conflicts": ..., "columns": [...]}
};

inline constexpr std::string_view default_table = "default";
inline constexpr const char* table_name_form = "must be 1 to 64 characters of A-Z a-z 0-9 _ . -";
bool is_table_name(std::string_view name);

// The error is a sentence that names the member and what is allowed.
[[nodiscard]] Result<TableDefinition, std::string> parse_table_definition(const nlohmann::json& definition);
[[nodiscard]] Result<TableDefinition, std::string> parse_table_definition(std::string_view text);

// Checks a value against a table's columns: it must be a JSON object whose declared fields are of their type,
// null or missing. nullopt: it is; else a sentence that names the column. `row`, if given, has then a value
// for each column, as ColumnTable::read() would tell; or none, where that has to read the text again.
std::optional<std::string> check_columns(const TableDefinition& table, std::string_view value,
                                         std::vector<agg::Value>* row = nullptr);

}  // namespace covey::server
