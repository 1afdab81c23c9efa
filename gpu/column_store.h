// The columns of one (table, partition): rows have slots, each column is an array of tiles.
//
// Thread-safety: none. The executor that owns a store alternates batches of updates and scans: a scan reads
// the store from several threads while nobody writes it, so it sees each batch whole or not at all.
//
// Conflicted rows: a row's tiles hold its latest version (the caller's order: HLC, then dot). All versions of
// a row that has siblings are kept besides in a list on the side, from which a scan makes the values that its
// siblings policy asks for. Policies other than `latest` cost time in proportion to the conflicted rows only.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gpu/bitmap.h"
#include "gpu/dictionary.h"
#include "gpu/result.h"
#include "gpu/slot_allocator.h"
#include "gpu/tile.h"
#include "gpu/value.h"

namespace covey::agg {

// One version of a row: its time (HLC) and a value for each column of the schema, in its order.
struct RowVersion {
  int64_t time = 0;
  std::vector<Value> values;
};

// Changes that a store takes whole or not at all, in order. Reused by clear(): keeps its memory. Filling it
// allocates for strings beyond 15 bytes and for siblings only.
class UpdateBatch {
 public:
  // The row's only version; makes the slot live. `values`: one for each column.
  void put(Slot slot, int64_t time, std::span<const Value> values);
  // A row with siblings, the latest last. Two or more; makes the slot live.
  void put_siblings(Slot slot, std::vector<RowVersion> versions);
  // One column of a row that is live: for a column that is being filled. Siblings' values are left alone:
  // give a conflicted row whole.
  void set(Slot slot, uint32_t column, Value value);
  // The row is gone. Erasing a slot that is not live changes nothing.
  void erase(Slot slot);
  void clear();
  size_t size() const { return changes_.size(); }
  bool empty() const { return changes_.empty(); }

 private:
  friend class ColumnStore;
  enum class Kind : uint8_t { kPut, kSiblings, kSet, kErase };
  struct Change {
    Kind kind;
    Slot slot;
    uint32_t column;  // kSet
    uint32_t count;   // of values; kSiblings: index into siblings_
    size_t first;     // of values_
    int64_t time;
  };
  std::vector<Change> changes_;
  std::vector<Value> values_;
  std::vector<std::vector<RowVersion>> siblings_;
};

// kFilling: declared, but rows from before may lack it. kAbsent: dropped for memory; writes to it are
// ignored. A scan that needs a column which is not kWhole answers kColumnNotReady.
enum class ColumnState : uint8_t { kWhole = 1, kFilling = 2, kAbsent = 3 };

inline constexpr uint32_t kNewColumn = UINT32_MAX;

struct ColumnStoreOptions {
  uint32_t tile_rows = kTileRows;  // a power of two, 64 to 65,536
  Slot slots_max = kSlotsMax;
  uint64_t bytes_max = UINT64_MAX;  // of tiles; a batch that would need more is refused whole (kOutOfMemory)
};

class ColumnStore {
 public:
  using Dictionaries =
      std::vector<std::shared_ptr<Dictionary>>;  // one for each column; null unless a string's

  // `dictionaries` are shared by the stores of one table; missing ones are made.
  explicit ColumnStore(Schema schema, ColumnStoreOptions options = {}, Dictionaries dictionaries = {});
  ~ColumnStore();
  ColumnStore(ColumnStore&&) noexcept;
  ColumnStore& operator=(ColumnStore&&) noexcept;

  // Whole, or an error and nothing changed: kBadUpdate, kDictionaryFull, kOutOfMemory.
  Status apply(const UpdateBatch& batch);

  // Other columns for the same rows: `from` has for each of the new schema's the index of a present one of
  // the same type, each at most once, or kNewColumn: kFilling, all null. Present ones that are not named are
  // freed. `dictionaries` are for the new ones. The store has another id() afterwards.
  void rearrange(Schema schema, std::span<const uint32_t> from, Dictionaries dictionaries = {});
  // kAbsent frees its tiles; from kAbsent it goes to kFilling, all null. The hidden time column is always
  // whole.
  void set_state(uint32_t column, ColumnState state);
  ColumnState state(uint32_t column) const { return columns_[column].state; }

  const Schema& schema() const { return schema_; }
  uint32_t time_column() const { return static_cast<uint32_t>(schema_.columns.size()); }
  uint32_t tile_rows() const { return options_.tile_rows; }
  // Row groups: one past the highest that any live row ever had.
  uint32_t tiles() const { return static_cast<uint32_t>(live_.size()); }
  uint64_t rows() const { return rows_; }
  bool is_live(Slot slot) const;
  // Null beyond the column's end or in an absent column.
  Value value(Slot slot, uint32_t column) const;
  int64_t time(Slot slot) const;
  // The versions of a conflicted row; empty otherwise.
  std::span<const RowVersion> siblings(Slot slot) const;
  uint64_t conflicted_rows() const { return siblings_.size(); }

  // For scans and devices. Null: the row group has no value of that column.
  const Tile* tile(uint32_t column, uint32_t tile) const;
  // Row group's liveness, tile_rows bits; null where no row was ever live.
  const uint64_t* live(uint32_t tile) const;
  uint32_t live_rows(uint32_t tile) const { return live_[tile].count; }
  uint64_t live_version(uint32_t tile) const { return live_[tile].version; }
  // Rows that the row group's tiles have memory for: a power of two up to tile_rows(), 0 where no row was
  // ever live. Rows beyond are dead.
  uint32_t capacity(uint32_t tile) const { return live_[tile].capacity; }
  const Dictionary& dictionary(uint32_t column) const { return *columns_[column].dictionary; }
  const std::shared_ptr<Dictionary>& shared_dictionary(uint32_t column) const {
    return columns_[column].dictionary;
  }
  const std::map<Slot, std::vector<RowVersion>>& conflicted() const { return siblings_; }
  // Unique in the process: names the store for a device's cache. Never given again.
  uint64_t id() const { return id_; }

  // Bytes of tiles, and of one column's. Dictionaries are not counted: they are shared.
  uint64_t bytes() const { return bytes_; }
  uint64_t column_bytes(uint32_t column) const;

 private:
  friend class CheckpointReader;  // gpu/checkpoint.cpp
  struct Column {
    ColumnType type = ColumnType::kInt64;
    ColumnState state = ColumnState::kWhole;
    std::shared_ptr<Dictionary> dictionary;
    std::vector<std::unique_ptr<Tile>> tiles;
  };
  struct Live {
    ByteBlock bits;
    uint32_t count = 0;  // of live rows
    uint32_t capacity = 0;
    uint64_t version = 0;
  };
  // What a batch needs before it can be applied without failing.
  struct RowGroupNeeds {
    uint32_t rows = 0;
    uint64_t columns = 0;  // bits of the schema's columns that get a value
  };
  struct Needs {
    std::map<uint32_t, RowGroupNeeds> row_groups;
    std::vector<uint32_t> new_strings;  // of each column
  };

  Status check(const UpdateBatch& batch, Needs& needs) const;
  Status check_row(Slot slot, std::span<const Value> values, Needs& needs) const;
  Status check_value(const Value& value, uint32_t column, Needs& needs) const;
  Status reserve(const Needs& needs);
  bool reserve_row_group(uint32_t tile, const RowGroupNeeds& needs);
  bool grow(Tile& tile, size_t bytes_each, uint32_t from, uint32_t to);
  uint64_t missing_bytes(const Needs& needs) const;
  void put_row(Slot slot, int64_t time, std::span<const Value> values);
  void write(Slot slot, uint32_t column, const Value& value);
  void clear_cell(Column& column, Tile& tile, uint32_t row);
  void erase_row(Slot slot);
  void hold_strings(const std::vector<RowVersion>& versions, bool hold);
  void drop_siblings(Slot slot);
  void free_column(Column& column);
  Column& time() { return columns_.back(); }

  Schema schema_;
  ColumnStoreOptions options_;
  std::vector<Column> columns_;  // the schema's, then the hidden time
  std::vector<Live> live_;
  std::map<Slot, std::vector<RowVersion>> siblings_;
  uint64_t rows_ = 0;
  uint64_t bytes_ = 0;
  uint64_t id_ = 0;
  uint64_t changes_ = 1;  // versions are given once: a tile made anew is not taken for the one before
};

}  // namespace covey::agg
