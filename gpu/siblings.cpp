#include <algorithm>
#include <cmath>

#include "gpu/condition.h"
#include "gpu/cpu_bind.h"

namespace covey::agg {

namespace {

bool special(const Value& value) {
  const auto* number = std::get_if<double>(&value);
  return number != nullptr && !std::isfinite(*number);
}

// Whether `value` replaces `kept`: nulls and then specials give way to others.
bool replaces(const Value& value, const Value& kept, bool least) {
  if (is_null(value)) return false;
  if (is_null(kept)) return true;
  if (special(value) != special(kept)) return special(kept);
  if (special(value)) {
    const double a = std::get<double>(value);
    const double b = std::get<double>(kept);
    if (std::isnan(a) || std::isnan(b)) return std::isnan(b) && !std::isnan(a);
    return least ? a < b : a > b;
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    const std::string& other = std::get<std::string>(kept);
    return least ? *text < other : other < *text;
  }
  return least ? less_number(value, kept) : less_number(kept, value);
}

}  // namespace

std::unique_ptr<ColumnStore> resolve_siblings(const ColumnStore& store, Siblings policy,
                                              std::vector<Slot>& slots) {
  ColumnStore::Dictionaries dictionaries;
  for (uint32_t i = 0; i < store.schema().columns.size(); ++i)
    dictionaries.push_back(store.shared_dictionary(i));
  auto resolved = std::make_unique<ColumnStore>(
      store.schema(), ColumnStoreOptions{.tile_rows = store.tile_rows()}, dictionaries);
  UpdateBatch batch;
  const bool least = policy == Siblings::kMin;
  for (const auto& [slot, versions] : store.conflicted()) {
    std::vector<Value> values = versions.front().values;
    int64_t time = versions.front().time;
    for (const RowVersion& version : versions) {
      time = std::max(time, version.time);
      for (size_t i = 0; i < values.size(); ++i) {
        if (replaces(version.values[i], values[i], least)) values[i] = version.values[i];
      }
    }
    batch.put(static_cast<Slot>(slots.size()), time, values);
    slots.push_back(slot);
  }
  if (!resolved->apply(batch)) return nullptr;
  return resolved;
}

}  // namespace covey::agg
