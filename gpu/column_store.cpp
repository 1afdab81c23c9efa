#include "gpu/column_store.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "gpu/order.h"

namespace covey::agg {

namespace {

uint64_t next_id() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

bool test_bit(const ByteBlock& bits, uint32_t row) {
  return ((reinterpret_cast<const uint64_t*>(bits.get())[row / 64] >> (row % 64)) & 1) != 0;
}

void set_bit(ByteBlock& bits, uint32_t row) {
  reinterpret_cast<uint64_t*>(bits.get())[row / 64] |= uint64_t{1} << (row % 64);
}

void clear_bit(ByteBlock& bits, uint32_t row) {
  reinterpret_cast<uint64_t*>(bits.get())[row / 64] &= ~(uint64_t{1} << (row % 64));
}

}  // namespace

ColumnStore::ColumnStore(Schema schema, ColumnStoreOptions options, Dictionaries dictionaries)
    : schema_(std::move(schema)), options_(options), id_(next_id()) {
  COVEY_AGG_ASSERT(schema_.columns.size() <= kColumnsMax);
  COVEY_AGG_ASSERT(std::has_single_bit(options_.tile_rows) && options_.tile_rows >= kTileRowsMin &&
                   options_.tile_rows <= kTileRows);
  dictionaries.resize(schema_.columns.size());
  for (size_t i = 0; i < schema_.columns.size(); ++i) {
    Column& column = columns_.emplace_back();
    column.type = schema_.columns[i].type;
    if (column.type != ColumnType::kString) continue;
    column.dictionary = dictionaries[i] ? dictionaries[i] : std::make_shared<Dictionary>();
  }
  columns_.emplace_back().type = ColumnType::kInt64;
}

ColumnStore::~ColumnStore() {
  for (auto& [slot, versions] : siblings_) hold_strings(versions, false);
  for (Column& column : columns_) free_column(column);
}

ColumnStore::ColumnStore(ColumnStore&&) noexcept = default;

ColumnStore& ColumnStore::operator=(ColumnStore&& other) noexcept {
  std::swap(schema_, other.schema_);
  std::swap(options_, other.options_);
  std::swap(columns_, other.columns_);
  std::swap(live_, other.live_);
  std::swap(siblings_, other.siblings_);
  std::swap(rows_, other.rows_);
  std::swap(bytes_, other.bytes_);
  std::swap(id_, other.id_);
  std::swap(changes_, other.changes_);
  return *this;
}

Status ColumnStore::apply(const UpdateBatch& batch) {
  Needs needs;
  if (Status checked = check(batch, needs); !checked) return checked;
  if (Status reserved = reserve(needs); !reserved) return reserved;
  for (const UpdateBatch::Change& change : batch.changes_) {
    const std::span<const Value> values(batch.values_.data() + change.first, change.count);
    switch (change.kind) {
      case UpdateBatch::Kind::kPut:
        drop_siblings(change.slot);
        put_row(change.slot, change.time, values);
        break;
      case UpdateBatch::Kind::kSiblings: {
        const std::vector<RowVersion>& versions = batch.siblings_[change.count];
        hold_strings(versions, true);
        drop_siblings(change.slot);
        put_row(change.slot, versions.back().time, versions.back().values);
        siblings_[change.slot] = versions;
        break;
      }
      case UpdateBatch::Kind::kSet:
        write(change.slot, change.column, values[0]);
        break;
      case UpdateBatch::Kind::kErase:
        drop_siblings(change.slot);
        erase_row(change.slot);
        break;
    }
  }
  return Done{};
}

void ColumnStore::put_row(Slot slot, int64_t time, std::span<const Value> values) {
  Live& live = live_[slot / options_.tile_rows];
  const uint32_t row = slot % options_.tile_rows;
  if (!test_bit(live.bits, row)) {
    set_bit(live.bits, row);
    ++live.count;
    ++rows_;
    live.version = ++changes_;
  }
  for (uint32_t column = 0; column < values.size(); ++column) write(slot, column, values[column]);
  write(slot, time_column(), time);
}

void ColumnStore::clear_cell(Column& column, Tile& tile, uint32_t row) {
  if (!test_bit(tile.validity, row)) return;
  clear_bit(tile.validity, row);
  --tile.zone.count;
  tile.version = ++changes_;
  if (column.type == ColumnType::kString) {
    uint32_t& code = reinterpret_cast<uint32_t*>(tile.values.get())[row];
    column.dictionary->release(code);
    code = 0;
  } else {
    reinterpret_cast<uint64_t*>(tile.values.get())[row] = 0;
  }
}

void ColumnStore::write(Slot slot, uint32_t index, const Value& value) {
  Column& column = columns_[index];
  if (column.state == ColumnState::kAbsent) return;
  const uint32_t group = slot / options_.tile_rows;
  const uint32_t row = slot % options_.tile_rows;
  Tile* tile = group < column.tiles.size() ? column.tiles[group].get() : nullptr;
  if (tile == nullptr) {
    COVEY_AGG_ASSERT(is_null(value));
    return;
  }
  uint32_t code = 0;
  if (const auto* text = std::get_if<std::string>(&value)) {
    code = column.dictionary->acquire(*text);
    COVEY_AGG_ASSERT(code != Dictionary::kNone);
  }
  clear_cell(column, *tile, row);
  if (is_null(value)) return;
  set_bit(tile->validity, row);
  ++tile->zone.count;
  tile->version = ++changes_;
  auto* words = reinterpret_cast<uint64_t*>(tile->values.get());
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    if (column.type == ColumnType::kInt64) {
      words[row] = static_cast<uint64_t>(*integer);
      tile->zone.add_int(*integer);
      return;
    }
  }
  if (column.type == ColumnType::kString) {
    reinterpret_cast<uint32_t*>(tile->values.get())[row] = code;
    return;
  }
  const double number = std::get<double>(value) + 0.0;  // -0 becomes 0
  words[row] = number != number ? kNanBits : bits_of(number);
  tile->zone.add_float(number);
}

void ColumnStore::erase_row(Slot slot) {
  if (!is_live(slot)) return;
  const uint32_t group = slot / options_.tile_rows;
  for (uint32_t column = 0; column < columns_.size(); ++column) write(slot, column, Value());
  clear_bit(live_[group].bits, slot % options_.tile_rows);
  --live_[group].count;
  live_[group].version = ++changes_;
  --rows_;
}

void ColumnStore::hold_strings(const std::vector<RowVersion>& versions, bool hold) {
  for (const RowVersion& version : versions) {
    for (size_t i = 0; i < version.values.size(); ++i) {
      const auto* text = std::get_if<std::string>(&version.values[i]);
      if (text == nullptr) continue;
      Dictionary& dictionary = *columns_[i].dictionary;
      if (hold) {
        COVEY_AGG_ASSERT(dictionary.acquire(*text) != Dictionary::kNone);
      } else {
        dictionary.release(dictionary.find(*text));
      }
    }
  }
}

void ColumnStore::drop_siblings(Slot slot) {
  if (siblings_.empty()) return;
  const auto found = siblings_.find(slot);
  if (found == siblings_.end()) return;
  hold_strings(found->second, false);
  siblings_.erase(found);
}

void ColumnStore::free_column(Column& column) {
  for (uint32_t group = 0; group < column.tiles.size(); ++group) {
    Tile* tile = column.tiles[group].get();
    if (tile == nullptr) continue;
    const uint32_t capacity = live_[group].capacity;
    if (column.type == ColumnType::kString) {
      for (uint32_t row = 0; row < capacity; ++row) clear_cell(column, *tile, row);
    }
    bytes_ -= uint64_t{capacity} * value_bytes(column.type) + capacity / 8;
  }
  column.tiles.clear();
}

void ColumnStore::rearrange(Schema schema, std::span<const uint32_t> from, Dictionaries dictionaries) {
  COVEY_AGG_ASSERT(schema.columns.size() <= kColumnsMax && from.size() == schema.columns.size());
  dictionaries.resize(from.size());
  for (auto& [slot, versions] : siblings_) hold_strings(versions, false);
  std::vector<Column> columns(from.size());
  std::vector<bool> taken(schema_.columns.size());
  for (size_t i = 0; i < from.size(); ++i) {
    const ColumnType type = schema.columns[i].type;
    if (from[i] != kNewColumn) {
      COVEY_AGG_ASSERT(from[i] < taken.size() && !taken[from[i]] && columns_[from[i]].type == type);
      taken[from[i]] = true;
      columns[i] = std::move(columns_[from[i]]);
      continue;
    }
    columns[i].type = type;
    columns[i].state = ColumnState::kFilling;
    if (type == ColumnType::kString)
      columns[i].dictionary = dictionaries[i] ? dictionaries[i] : std::make_shared<Dictionary>();
  }
  for (size_t i = 0; i < taken.size(); ++i) {
    if (!taken[i]) free_column(columns_[i]);
  }
  columns.push_back(std::move(time()));
  columns_ = std::move(columns);
  schema_ = std::move(schema);
  for (auto& [slot, versions] : siblings_) {
    for (RowVersion& version : versions) {
      std::vector<Value> values(from.size());
      for (size_t i = 0; i < from.size(); ++i) {
        if (from[i] != kNewColumn) values[i] = std::move(version.values[from[i]]);
      }
      version.values = std::move(values);
    }
    hold_strings(versions, true);
  }
  id_ = next_id();
}

void ColumnStore::set_state(uint32_t column, ColumnState state) {
  COVEY_AGG_ASSERT(column < schema_.columns.size());
  if (state == ColumnState::kAbsent) free_column(columns_[column]);
  columns_[column].state = columns_[column].state == ColumnState::kAbsent && state == ColumnState::kWhole
                               ? ColumnState::kFilling
                               : state;
}

bool ColumnStore::is_live(Slot slot) const {
  const uint32_t group = slot / options_.tile_rows;
  const uint32_t row = slot % options_.tile_rows;
  return group < live_.size() && row < live_[group].capacity && test_bit(live_[group].bits, row);
}

Value ColumnStore::value(Slot slot, uint32_t index) const {
  const Column& column = columns_[index];
  const uint32_t group = slot / options_.tile_rows;
  const uint32_t row = slot % options_.tile_rows;
  const Tile* tile = this->tile(index, group);
  if (tile == nullptr || row >= live_[group].capacity || !test_bit(tile->validity, row)) return {};
  switch (column.type) {
    case ColumnType::kInt64:
      return tile->ints()[row];
    case ColumnType::kFloat64:
      return tile->floats()[row];
    case ColumnType::kString:
      return column.dictionary->text(tile->codes()[row]);
  }
  return {};
}

int64_t ColumnStore::time(Slot slot) const {
  const Value time = value(slot, time_column());
  return is_null(time) ? 0 : std::get<int64_t>(time);
}

std::span<const RowVersion> ColumnStore::siblings(Slot slot) const {
  const auto found = siblings_.find(slot);
  if (found == siblings_.end()) return {};
  return found->second;
}

const Tile* ColumnStore::tile(uint32_t column, uint32_t tile) const {
  const auto& tiles = columns_[column].tiles;
  return tile < tiles.size() ? tiles[tile].get() : nullptr;
}

const uint64_t* ColumnStore::live(uint32_t tile) const {
  return reinterpret_cast<const uint64_t*>(live_[tile].bits.get());
}

uint64_t ColumnStore::column_bytes(uint32_t index) const {
  uint64_t bytes = 0;
  const Column& column = columns_[index];
  for (uint32_t group = 0; group < column.tiles.size(); ++group) {
    if (column.tiles[group])
      bytes += uint64_t{live_[group].capacity} * value_bytes(column.type) + live_[group].capacity / 8;
  }
  return bytes;
}

}  // namespace covey::agg
