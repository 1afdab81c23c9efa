// What a store asks of a batch before it changes anything: right values, and memory for all of them.
#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "gpu/column_store.h"

namespace covey::agg {

namespace {
constexpr uint32_t kFirstCapacity = 256;

const char* type_name(ColumnType type) {
  switch (type) {
    case ColumnType::kInt64:
      return "int64";
    case ColumnType::kFloat64:
      return "float64";
    case ColumnType::kString:
      return "string";
  }
  return "unknown";
}
}  // namespace

Status ColumnStore::check(const UpdateBatch& batch, Needs& needs) const {
  needs.new_strings.assign(columns_.size(), 0);
  std::unordered_map<Slot, bool> live_now;  // slots that the batch itself changes; kept only if it sets cells
  const bool sets = std::any_of(batch.changes_.begin(), batch.changes_.end(),
                                [](const auto& change) { return change.kind == UpdateBatch::Kind::kSet; });
  for (const UpdateBatch::Change& change : batch.changes_) {
    if (change.slot >= options_.slots_max) {
      return Error{ErrorCode::kBadUpdate, "row slot " + std::to_string(change.slot) + " is beyond the limit",
                   ""};
    }
    const std::span<const Value> values(batch.values_.data() + change.first, change.count);
    Status checked = Done{};
    switch (change.kind) {
      case UpdateBatch::Kind::kPut:
        checked = check_row(change.slot, values, needs);
        break;
      case UpdateBatch::Kind::kSiblings: {
        const auto& versions = batch.siblings_[change.count];
        if (versions.size() < 2)
          return Error{ErrorCode::kBadUpdate, "a conflicted row has two versions at least", ""};
        for (size_t i = 0; i < versions.size() && checked; ++i)
          checked = check_row(change.slot, versions[i].values, needs);
        // The last version's strings are entered twice: for the list and for the tiles. Once is enough for
        // the limit.
        break;
      }
      case UpdateBatch::Kind::kSet: {
        const auto changed = live_now.find(change.slot);
        if (change.column >= schema_.columns.size()) {
          return Error{ErrorCode::kBadUpdate, "column " + std::to_string(change.column) + " does not exist",
                       ""};
        }
        if (!(changed == live_now.end() ? is_live(change.slot) : changed->second)) {
          return Error{ErrorCode::kBadUpdate,
                       "row slot " + std::to_string(change.slot) + " is not live: put the row first",
                       schema_.columns[change.column].name};
        }
        checked = check_value(values[0], change.column, needs);
        RowGroupNeeds& group = needs.row_groups[change.slot / options_.tile_rows];
        group.rows = std::max(group.rows, change.slot % options_.tile_rows + 1);
        if (!is_null(values[0]) && columns_[change.column].state != ColumnState::kAbsent)
          group.columns |= uint64_t{1} << change.column;
        break;
      }
      case UpdateBatch::Kind::kErase:
        break;
    }
    if (!checked) return checked;
    if (sets) live_now[change.slot] = change.kind != UpdateBatch::Kind::kErase;
  }
  for (size_t i = 0; i < schema_.columns.size(); ++i) {
    const Dictionary* dictionary = columns_[i].dictionary.get();
    if (dictionary != nullptr && needs.new_strings[i] > dictionary->entries_max() - dictionary->size()) {
      return Error{ErrorCode::kDictionaryFull,
                   "the column has too many different strings: its limit is " +
                       std::to_string(dictionary->entries_max()),
                   schema_.columns[i].name};
    }
  }
  return Done{};
}

Status ColumnStore::check_row(Slot slot, std::span<const Value> values, Needs& needs) const {
  if (values.size() != schema_.columns.size()) {
    return Error{ErrorCode::kBadUpdate,
                 "a row of this table has " + std::to_string(schema_.columns.size()) + " values, not " +
                     std::to_string(values.size()),
                 ""};
  }
  RowGroupNeeds& group = needs.row_groups[slot / options_.tile_rows];
  group.rows = std::max(group.rows, slot % options_.tile_rows + 1);
  for (uint32_t i = 0; i < values.size(); ++i) {
    if (is_null(values[i])) continue;
    if (Status checked = check_value(values[i], i, needs); !checked) return checked;
    if (columns_[i].state != ColumnState::kAbsent) group.columns |= uint64_t{1} << i;
  }
  return Done{};
}

Status ColumnStore::check_value(const Value& value, uint32_t index, Needs& needs) const {
  const Column& column = columns_[index];
  if (is_null(value)) return Done{};
  const size_t wanted = column.type == ColumnType::kInt64 ? 1 : column.type == ColumnType::kFloat64 ? 2 : 3;
  if (value.index() != wanted) {
    return Error{ErrorCode::kBadUpdate, std::string("the column holds ") + type_name(column.type),
                 schema_.columns[index].name};
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (text->size() > kStringBytesMax) {
      return Error{ErrorCode::kBadUpdate, "a string in a column has at most 1024 bytes",
                   schema_.columns[index].name};
    }
    if (column.dictionary->find(*text) == Dictionary::kNone) ++needs.new_strings[index];
  }
  return Done{};
}

uint64_t ColumnStore::missing_bytes(const Needs& needs) const {
  uint64_t missing = 0;
  for (const auto& [group, need] : needs.row_groups) {
    const uint32_t had = group < live_.size() ? live_[group].capacity : 0;
    const uint32_t rows =
        std::max(had, std::min(options_.tile_rows, std::max(kFirstCapacity, std::bit_ceil(need.rows))));
    missing += (rows - had) / 8;
    for (uint32_t i = 0; i < columns_.size(); ++i) {
      const uint64_t each_8_rows = 8 * value_bytes(columns_[i].type) + 1;
      const bool wanted = i == time_column() || ((need.columns >> i) & 1) != 0;
      if (tile(i, group) != nullptr)
        missing += (rows - had) / 8 * each_8_rows;
      else if (wanted)
        missing += rows / 8 * each_8_rows;
    }
  }
  return missing;
}

Status ColumnStore::reserve(const Needs& needs) {
  const uint64_t missing = missing_bytes(needs);
  if (missing > options_.bytes_max - std::min(options_.bytes_max, bytes_)) {
    return Error{ErrorCode::kOutOfMemory,
                 "the columns would pass their memory limit: drop a column or raise the limit", ""};
  }
  for (const auto& [group, need] : needs.row_groups) {
    if (!reserve_row_group(group, need))
      return Error{ErrorCode::kOutOfMemory, "no memory for the columns' tiles", ""};
  }
  return Done{};
}

bool ColumnStore::grow(Tile& tile, size_t bytes_each, uint32_t from, uint32_t to) {
  ByteBlock values = allocate_bytes(to * bytes_each);
  ByteBlock validity = allocate_bytes(to / 8);
  if (!values || !validity) return false;
  if (from > 0) {
    std::memcpy(values.get(), tile.values.get(), from * bytes_each);
    std::memcpy(validity.get(), tile.validity.get(), from / 8);
  }
  tile.values = std::move(values);
  tile.validity = std::move(validity);
  tile.version = ++changes_;
  return true;
}

// All tiles of a row group have the same capacity, also when memory runs out halfway: then all keep the old
// one but for those that have grown, which are larger than they need to be.
bool ColumnStore::reserve_row_group(uint32_t group, const RowGroupNeeds& needs) {
  if (group >= live_.size()) live_.resize(group + 1);
  Live& live = live_[group];
  const uint32_t rows = std::max(
      live.capacity, std::min(options_.tile_rows, std::max(kFirstCapacity, std::bit_ceil(needs.rows))));
  std::vector<std::unique_ptr<Tile>> made(columns_.size());
  for (uint32_t i = 0; i < columns_.size(); ++i) {
    Column& column = columns_[i];
    const bool wanted = i == time_column() || ((needs.columns >> i) & 1) != 0;
    if (column.tiles.size() <= group) column.tiles.resize(group + 1);
    Tile* tile = column.tiles[group].get();
    if (tile == nullptr && wanted && column.state != ColumnState::kAbsent) {
      made[i] = std::make_unique<Tile>();
      if (!grow(*made[i], value_bytes(column.type), 0, rows)) return false;
    } else if (tile != nullptr && rows > live.capacity) {
      if (!grow(*tile, value_bytes(column.type), live.capacity, rows)) return false;
    }
  }
  if (rows > live.capacity) {
    ByteBlock bits = allocate_bytes(rows / 8);
    if (!bits) return false;
    if (live.capacity > 0) std::memcpy(bits.get(), live.bits.get(), live.capacity / 8);
    live.bits = std::move(bits);
    live.version = ++changes_;
  }
  const uint32_t had = live.capacity;
  live.capacity = rows;
  bytes_ += (rows - had) / 8;
  for (uint32_t i = 0; i < columns_.size(); ++i) {
    const uint64_t each_8_rows = 8 * value_bytes(columns_[i].type) + 1;
    if (made[i]) {
      columns_[i].tiles[group] = std::move(made[i]);
      bytes_ += rows / 8 * each_8_rows;
    } else if (columns_[i].tiles[group]) {
      bytes_ += (rows - had) / 8 * each_8_rows;
    }
  }
  return true;
}

}  // namespace covey::agg
