// A table's columns as the aggregation library knows them, and the reading of a row out of a stored value.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/column_store.h"
#include "gpu/value.h"
#include "server/read_rows.h"
#include "server/table_definition.h"
#include "server/typed_columns.h"

namespace covey::server {

// One version of a row, as it goes from the shard that stored it to the columns.
struct RowState {
  int64_t time = 0;         // its HLC
  uint64_t expires_ms = 0;  // wall clock; 0: never
  std::vector<agg::Value> values;
};

// Immutable once made: shared by the shards and the aggregator.
class ColumnTable {
 public:
  ColumnTable(std::string name, const TableDefinition& definition);

  const std::string& name() const { return name_; }
  const std::string& definition() const { return definition_; }  // its text: equal for equal tables
  const agg::Schema& schema() const { return schema_; }
  Conflicts conflicts() const { return conflicts_; }

  // For each column the place of the same one (name, type and where it is read) in another definition of the
  // table, or agg::kNewColumn. nullopt: none is the same, or siblings are resolved otherwise.
  std::optional<std::vector<uint32_t>> places_in(const ColumnTable& other) const;

  // A value's declared fields, one for each column. What is missing, of another type (values from before the
  // column was declared), or in a text that is no JSON object, is null. Depends on the bytes alone.
  void read(std::string_view value, std::vector<agg::Value>& row) const;
  // An object's versions in their order: by time, then dot. Under last_write_wins all the same: which one is
  // shown depends on what has expired.
  // Values whose rows are in `known`, if given, are not read again. A counter, a set or a hash is one row, as
  // it is shown to readers.
  std::vector<RowState> rows(const Object& object, ReadRows* known = nullptr) const;

 private:
  RowState typed_state(const Object& object) const;
  struct Field {
    std::string member;  // of the object itself; empty: only the pointer tells
    std::string pointer;
  };
  const std::string name_;
  const std::string definition_;
  const Conflicts conflicts_;
  agg::Schema schema_;
  std::vector<Field> fields_;
  std::vector<TypedColumn> typed_;
  bool has_pointers_ = false;
};

// nullptr: the table has no columns.
std::shared_ptr<const ColumnTable> make_column_table(const std::string& name,
                                                     const TableDefinition& definition);

}  // namespace covey::server
