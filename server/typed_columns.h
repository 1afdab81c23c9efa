// Columns of counters, sets and hashes: a hash is a row of its fields, a counter its number at the path "", a
// set the number of its elements there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/value.h"
#include "replication/change.h"
#include "replication/object.h"
#include "replication/typed.h"
#include "server/table_definition.h"

namespace covey::server {

// The field that a column's path names; nullopt: it is of something within a field, or of the whole value.
std::optional<std::string> field_of(std::string_view path);

// Text as a column takes it; null: it is of another type.
agg::Value column_value(std::string_view text, agg::ColumnType type);

struct TypedColumn {
  std::optional<std::string> field;  // of a hash
  bool whole = false;                // the path is ""
  agg::ColumnType type = agg::ColumnType::kFloat64;
};
// A value for each column. REQUIRES: type is counter, set or hash.
std::vector<agg::Value> typed_row(const std::vector<TypedColumn>& columns, const Object& live, Type type);

// Fields that are set must be of their column's type; what is added to one must leave it so: an int64 takes
// whole numbers, a string none. nullopt: it is all right; else a sentence that names the column.
std::optional<std::string> check_columns(const TableDefinition& table, const std::vector<Change>& changes);

}  // namespace covey::server
