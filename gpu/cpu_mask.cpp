#include "gpu/cpu_mask.h"

#include <algorithm>
#include <bit>

#include "gpu/order.h"

namespace covey::agg {

namespace {

// A key range as bounds of doubles. NaN keys, which lie outside the infinities, are in no condition's range.
double float_bound(uint64_t key) { return float_from_order(key); }

void by_keys(const Condition& condition, const Tile& tile, ColumnType type, uint32_t first, uint32_t rows,
             uint64_t* words) {
  for (uint32_t word = 0; word < rows / 64; ++word) {
    for (uint64_t left = words[word]; left != 0; left &= left - 1) {
      const auto bit = static_cast<uint32_t>(std::countr_zero(left));
      const uint32_t row = first + word * 64 + bit;
      const uint64_t key =
          type == ColumnType::kInt64 ? order_int(tile.ints()[row]) : order_float(tile.floats()[row]);
      if (!std::binary_search(condition.keys.begin(), condition.keys.end(), key))
        words[word] &= ~(uint64_t{1} << bit);
    }
  }
}

void by_codes(const CodeTable& table, const Kernels& kernels, const uint32_t* codes, uint32_t rows,
              uint64_t* words) {
  if (table.count == 0) {
    std::fill(words, words + rows / 64, 0);
    return;
  }
  if (table.count == 1) {
    kernels.code_equal(codes, rows, table.only, true, words);
    return;
  }
  const uint8_t* allowed = table.allowed.data();
  for (uint32_t word = 0; word < rows / 64; ++word) {
    if (words[word] == 0) continue;
    uint64_t bits = 0;
    for (uint32_t bit = 0; bit < 64; ++bit) bits |= uint64_t{allowed[codes[word * 64 + bit]]} << bit;
    words[word] &= bits;
  }
}

void apply(const BoundScan& scan, const Kernels& kernels, uint32_t selection, uint32_t index,
           const BoundScan::Unit& unit, uint32_t first, uint32_t rows, uint64_t* words) {
  const Condition& condition = scan.plan->selections()[selection].conditions[index];
  const ColumnStore& store = *scan.inputs[unit.input].store;
  const Tile* tile = store.tile(condition.column, unit.tile);
  if (condition.kind == Condition::Kind::kNull) {
    if (tile == nullptr) return;
    for (uint32_t word = 0; word < rows / 64; ++word) words[word] &= ~tile->valid()[first / 64 + word];
    return;
  }
  if (tile == nullptr || condition.kind == Condition::Kind::kNone) {
    std::fill(words, words + rows / 64, 0);
    return;
  }
  if (tile->zone.count != store.capacity(unit.tile)) {
    for (uint32_t word = 0; word < rows / 64; ++word) words[word] &= tile->valid()[first / 64 + word];
  }
  const ColumnType type = store.schema().columns[condition.column].type;
  switch (condition.kind) {
    case Condition::Kind::kNotNull:
      break;
    case Condition::Kind::kRange:
    case Condition::Kind::kNotRange: {
      const bool inside = condition.kind == Condition::Kind::kRange;
      if (type == ColumnType::kInt64) {
        kernels.int_range(tile->ints() + first, rows, int_from_order(condition.lo),
                          int_from_order(condition.hi), inside, words);
      } else {
        kernels.float_range(tile->floats() + first, rows, float_bound(condition.lo),
                            float_bound(condition.hi), inside, words);
      }
      break;
    }
    case Condition::Kind::kKeys:
      by_keys(condition, *tile, type, first, rows, words);
      break;
    default: {
      const auto& tables = scan.selections[selection].code_tables[index];
      const Dictionary* dictionary = &store.dictionary(condition.column);
      const auto table = std::find_if(tables.begin(), tables.end(),
                                      [&](const CodeTable& t) { return t.dictionary == dictionary; });
      by_codes(*table, kernels, tile->codes() + first, rows, words);
    }
  }
}

}  // namespace

UnitFilter filter_unit(const BoundScan& scan, uint32_t index, const BoundScan::Unit& unit) {
  UnitFilter filter;
  const Selection& selection = scan.plan->selections()[index];
  const BoundInput& input = scan.inputs[unit.input];
  const ColumnStore& store = *input.store;
  if (scan.selections[index].failed || (selection.row_set && input.row_sets[*selection.row_set] == nullptr)) {
    filter.skipped = true;
    return filter;
  }
  const uint32_t live = store.live_rows(unit.tile);
  filter.unrestricted = !selection.row_set && input.excluded == nullptr;
  filter.all_live = filter.unrestricted && live == store.capacity(unit.tile);
  for (uint32_t i = 0; i < selection.conditions.size(); ++i) {
    const Condition& condition = selection.conditions[i];
    const Tile* tile = store.tile(condition.column, unit.tile);
    if (condition.kind == Condition::Kind::kNull) {
      if (tile != nullptr && tile->zone.count == live) filter.skipped = true;
    } else if (tile == nullptr || tile->zone.count == 0 || condition.kind == Condition::Kind::kNone) {
      filter.skipped = true;
    } else if (condition.kind == Condition::Kind::kNotNull && tile->zone.count == live) {
      continue;
    } else if (condition.kind == Condition::Kind::kRange && !tile->zone.has_special) {
      if (tile->zone.max < condition.lo || tile->zone.min > condition.hi) filter.skipped = true;
      const bool within = tile->zone.min >= condition.lo && tile->zone.max <= condition.hi;
      if (within && tile->zone.count == live) continue;
    }
    filter.conditions.push_back(i);
  }
  return filter;
}

uint32_t select_rows(const BoundScan& scan, const Kernels& kernels, uint32_t index, const UnitFilter& filter,
                     const BoundScan::Unit& unit, uint32_t first, uint32_t rows, uint64_t* words, bool& all) {
  const uint32_t count = rows / 64;
  all = filter.all_live && filter.conditions.empty();
  if (all) return rows;
  const Selection& selection = scan.plan->selections()[index];
  const BoundInput& input = scan.inputs[unit.input];
  const ColumnStore& store = *input.store;
  const uint64_t* live = store.live(unit.tile) + first / 64;
  std::copy(live, live + count, words);
  const size_t slot_word = (size_t{unit.tile} * store.tile_rows() + first) / 64;
  if (selection.row_set) {
    for (uint32_t i = 0; i < count; ++i) words[i] &= input.row_sets[*selection.row_set]->word(slot_word + i);
  }
  if (input.excluded != nullptr) {
    for (uint32_t i = 0; i < count; ++i) words[i] &= ~input.excluded->word(slot_word + i);
  }
  for (const uint32_t condition : filter.conditions)
    apply(scan, kernels, index, condition, unit, first, rows, words);
  const uint32_t selected = kernels.count(words, count);
  all = selected == rows;
  return selected;
}

}  // namespace covey::agg
