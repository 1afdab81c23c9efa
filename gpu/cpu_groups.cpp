#include "gpu/cpu_groups.h"

#include <algorithm>
#include <cstring>

#include "gpu/group_key.h"
#include "gpu/kernels.h"
#include "gpu/mix.h"
#include "gpu/order.h"

namespace covey::agg {

namespace {

bool valid(const Tile& tile, uint32_t row) { return ((tile.valid()[row / 64] >> (row % 64)) & 1) != 0; }

}  // namespace

bool GroupIndexer::assign(const BoundScan& scan, const BoundScan::Unit& unit, uint32_t first,
                          const RowList& rows, uint64_t groups_max, uint32_t* numbers) {
  if (layout_.dense) {
    for (size_t i = 0; i < layout_.columns.size(); ++i)
      assign_column(layout_.columns[i], i, scan, unit, first, rows, numbers);
    return true;
  }
  const size_t width = layout_.columns.size() + 1;
  block_.assign(width * rows.count, 0);
  for (size_t i = 0; i < layout_.columns.size(); ++i)
    read_words(layout_.columns[i], i, scan, unit, first, rows);
  uint32_t at = 0;
  for_rows(rows, [&](uint32_t row) { numbers[row] = enter(block_.data() + width * at++); });
  return hashes_.size() <= groups_max;
}

// Dense: the number of a column's value, behind those of the columns before it.
void GroupIndexer::assign_column(const GroupColumn& column, size_t place, const BoundScan& scan,
                                 const BoundScan::Unit& unit, uint32_t first, const RowList& rows,
                                 uint32_t* numbers) {
  const ColumnStore& store = *scan.inputs[unit.input].store;
  const Tile* tile = store.tile(column.column, unit.tile);
  const auto dim = static_cast<uint32_t>(column.dim);
  const bool full = tile != nullptr && tile->zone.count == store.capacity(unit.tile);
  const auto number = [&](uint32_t row) -> uint32_t {
    if (tile == nullptr || (!full && !valid(*tile, first + row))) return 0;
    if (column.type == ColumnType::kInt64) {
      return static_cast<uint32_t>(order_int(tile->ints()[first + row]) - column.base) + 1;
    }
    const uint32_t code = tile->codes()[first + row];
    return (column.translations.empty() ? code : column.translations[unit.input][code]) + 1;
  };
  if (place == 0 && full && column.type == ColumnType::kString && column.translations.empty()) {
    // All rows, wanted or not: faster than to look which.
    const uint32_t* __restrict codes = tile->codes() + first;
    uint32_t* __restrict into = numbers;
    for (uint32_t row = 0; row < rows.rows; row += 16) {
      __builtin_prefetch(codes + row + kBlockRows);
      for (uint32_t i = 0; i < 16; ++i) into[row + i] = codes[row + i] + 1;
    }
  } else if (place == 0) {
    for_rows(rows, [&](uint32_t row) { numbers[row] = number(row); });
  } else {
    for_rows(rows, [&](uint32_t row) { numbers[row] = numbers[row] * dim + number(row); });
  }
}

void GroupIndexer::read_words(const GroupColumn& column, size_t place, const BoundScan& scan,
                              const BoundScan::Unit& unit, uint32_t first, const RowList& rows) {
  const ColumnStore& store = *scan.inputs[unit.input].store;
  const Tile* tile = store.tile(column.column, unit.tile);
  const size_t width = layout_.columns.size() + 1;
  uint64_t* into = block_.data();
  for_rows(rows, [&](uint32_t row) {
    if (tile == nullptr || !valid(*tile, first + row)) {
      into[width - 1] |= uint64_t{1} << place;
    } else if (column.type == ColumnType::kString) {
      const uint32_t code = tile->codes()[first + row];
      into[place] = column.translations.empty() ? code : column.translations[unit.input][code];
    } else {
      into[place] = column.type == ColumnType::kInt64 ? order_int(tile->ints()[first + row])
                                                      : order_float(tile->floats()[first + row]);
    }
    into += width;
  });
}

uint32_t GroupIndexer::enter(const uint64_t* words) {
  const size_t width = layout_.columns.size() + 1;
  uint64_t hash = 0;
  for (size_t i = 0; i < width; ++i) hash = mix64(hash ^ words[i]);
  if (table_.size() < 2 * (hashes_.size() + 1)) grow();
  size_t at = hash & (table_.size() - 1);
  for (; table_[at] != 0; at = (at + 1) & (table_.size() - 1)) {
    const uint32_t number = table_[at] - 1;
    if (hashes_[number] == hash && std::memcmp(words_.data() + width * number, words, width * 8) == 0)
      return number;
  }
  hashes_.push_back(hash);
  words_.insert(words_.end(), words, words + width);
  table_[at] = static_cast<uint32_t>(hashes_.size());
  return table_[at] - 1;
}

void GroupIndexer::grow() {
  table_.assign(std::max<size_t>(1024, table_.size() * 2), 0);
  for (size_t number = 0; number < hashes_.size(); ++number) {
    size_t at = hashes_[number] & (table_.size() - 1);
    while (table_[at] != 0) at = (at + 1) & (table_.size() - 1);
    table_[at] = static_cast<uint32_t>(number + 1);
  }
}

void GroupIndexer::append_key(uint32_t number, std::string& key) const {
  if (layout_.dense) return append_dense_key(layout_, number, key);
  const size_t width = layout_.columns.size() + 1;
  const uint64_t* words = words_.data() + width * number;
  for (size_t i = 0; i + 1 < width; ++i) {
    append_group_value(layout_.columns[i], ((words[width - 1] >> i) & 1) != 0, words[i], key);
  }
}

void append_group_value(const GroupColumn& column, bool null, uint64_t word, std::string& key) {
  if (null) {
    append_null_key(key);
  } else if (column.type != ColumnType::kString) {
    append_number_key(key, word);
  } else if (column.dictionary != nullptr) {
    append_string_key(key, column.dictionary->text(static_cast<uint32_t>(word)));
  } else {
    append_string_key(key, column.strings[word]);
  }
}

void append_dense_key(const GroupLayout& layout, uint64_t number, std::string& key) {
  uint64_t divisor = layout.groups;
  for (const GroupColumn& column : layout.columns) {
    divisor /= column.dim;
    const uint64_t digit = number / divisor % column.dim;
    append_group_value(column, digit == 0, digit == 0 ? 0 : digit - 1 + column.base, key);
  }
}

}  // namespace covey::agg
