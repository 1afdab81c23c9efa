#include "gpu/cpu_shares.h"

namespace covey::agg {

SketchCounter& BlockShares::sketches(uint32_t column, uint32_t first_bucket, uint32_t buckets) {
  for (const auto& known : sketches_) {
    if (known->column() == column) return *known;
  }
  return *sketches_.emplace_back(std::make_unique<SketchCounter>(kernels_, column, first_bucket, buckets));
}

BlockShares::Moments& BlockShares::moments(uint32_t column) {
  for (const auto& known : moments_) {
    if (known->column == column) return *known;
  }
  Moments& added = *moments_.emplace_back(std::make_unique<Moments>());
  added.column = column;
  return added;
}

void BlockShares::finish_block(const ColumnStore& store, uint32_t tile, uint32_t first, uint32_t rows) {
  for (const auto& moments : moments_) {
    if (moments->wanted.empty()) continue;
    kernels_.moments(store.tile(moments->column, tile)->floats() + first, rows, moments->folds,
                     moments->wanted.data(), moments->wanted.size());
    moments->wanted.clear();
  }
  for (const auto& sketch : sketches_) {
    if (const Tile* values = store.tile(sketch->column(), tile))
      sketch->count(values->floats() + first, rows);
  }
}

}  // namespace covey::agg
