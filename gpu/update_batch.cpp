#include "gpu/column_store.h"

namespace covey::agg {

void UpdateBatch::put(Slot slot, int64_t time, std::span<const Value> values) {
  changes_.push_back({Kind::kPut, slot, 0, static_cast<uint32_t>(values.size()), values_.size(), time});
  values_.insert(values_.end(), values.begin(), values.end());
}

void UpdateBatch::put_siblings(Slot slot, std::vector<RowVersion> versions) {
  changes_.push_back({Kind::kSiblings, slot, 0, static_cast<uint32_t>(siblings_.size()), 0, 0});
  siblings_.push_back(std::move(versions));
}

void UpdateBatch::set(Slot slot, uint32_t column, Value value) {
  changes_.push_back({Kind::kSet, slot, column, 1, values_.size(), 0});
  values_.push_back(std::move(value));
}

void UpdateBatch::erase(Slot slot) { changes_.push_back({Kind::kErase, slot, 0, 0, 0, 0}); }

void UpdateBatch::clear() {
  changes_.clear();
  values_.clear();
  siblings_.clear();
}

}  // namespace covey::agg
