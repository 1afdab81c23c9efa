#include "gpu/cpu_groups.h"

#include <algorithm>
#include <bit>

#include "gpu/cpu_records.h"
#include "gpu/group_key.h"
#include "gpu/kernels.h"
#include "gpu/mix.h"
#include "gpu/order.h"

namespace covey::agg {

namespace {

constexpr uint32_t kAhead = 16;  // rows

uint64_t hash_of(const uint64_t* words, size_t width) {
  uint64_t hash = 0;
  for (size_t i = 0; i < width; ++i) hash = mix64(hash ^ words[i]);
  return hash;
}

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
  const uint64_t places = (groups_ + rows.count) * 3 / 2;
  if (table_.size() < places) grow(places);
  // The places of a few rows ahead are fetched meanwhile, and the words of the groups that are probably
  // theirs.
  hashes_.resize(rows.count);
  for (uint32_t i = 0; i < rows.count; ++i) {
    hashes_[i] = hash_of(block_.data() + width * i, width);
    __builtin_prefetch(&table_[hashes_[i] & (table_.size() - 1)]);
  }
  uint32_t at = 0;
  for_rows(rows, [&](uint32_t row) {
    if (at + kAhead < rows.count) {
      const Place& place = table_[hashes_[at + kAhead] & (table_.size() - 1)];
      if (place.number != 0) __builtin_prefetch(words_.data() + width * (place.number - 1));
    }
    numbers[row] = enter(block_.data() + width * at, hashes_[at]);
    ++at;
  });
  return groups_ <= groups_max;
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
  if (place == 0 && full && column.type == ColumnType::kInt64) {
    const int64_t* __restrict values = tile->ints() + first;
    uint32_t* __restrict into = numbers;
    const uint64_t base = column.base - 1;
    for (uint32_t row = 0; row < rows.rows; row += 8) {
      __builtin_prefetch(values + row + kBlockRows);
      for (uint32_t i = 0; i < 8; ++i)
        into[row + i] = static_cast<uint32_t>(order_int(values[row + i]) - base);
    }
  } else if (place == 0 && full && column.type == ColumnType::kString && column.translations.empty()) {
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

uint32_t GroupIndexer::enter(const uint64_t* words, uint64_t hash) {
  const size_t width = layout_.columns.size() + 1;
  const auto tag = static_cast<uint32_t>(hash >> 32);
  size_t at = hash & (table_.size() - 1);
  for (; table_[at].number != 0; at = (at + 1) & (table_.size() - 1)) {
    if (table_[at].tag != tag) continue;
    const uint32_t number = table_[at].number - 1;
    if (std::equal(words, words + width, words_.data() + width * number)) return number;
  }
  words_.insert(words_.end(), words, words + width);
  table_[at] = {static_cast<uint32_t>(++groups_), tag};
  return table_[at].number - 1;
}

void GroupIndexer::grow(uint64_t places) {
  const size_t width = layout_.columns.size() + 1;
  table_.assign(std::bit_ceil(std::max<uint64_t>(1024, places)), {});
  for (size_t number = 0; number < groups_; ++number) {
    const uint64_t hash = hash_of(words_.data() + width * number, width);
    size_t at = hash & (table_.size() - 1);
    while (table_[at].number != 0) at = (at + 1) & (table_.size() - 1);
    table_[at] = {static_cast<uint32_t>(number + 1), static_cast<uint32_t>(hash >> 32)};
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

void GroupRecords::count(const RowList& list, const uint32_t* numbers) {
  const auto one = [&](uint32_t row) { ++*at(numbers[row]); };
  far() ? for_rows_ahead(list, numbers, one) : for_rows(list, one);
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
