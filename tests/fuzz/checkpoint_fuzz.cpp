// What a file of columns may say: sections of (tag, length, bytes) whose checksums are put in here, so that
// the reader itself is tried. What it accepts must be as good as columns that were filled: it is scanned.
#include "gpu/backend.h"
#include "gpu/bytes.h"
#include "gpu/checkpoint.h"
#include "gpu/mix.h"
#include "tests/fuzz/fuzz.h"

namespace covey::fuzz {
namespace {

constexpr uint64_t head_bytes = 16;

std::string sealed(std::string_view bytes) {
  agg::ByteWriter out;
  while (bytes.size() >= head_bytes) {
    agg::ByteReader head(bytes);
    head.u64();
    const uint64_t length = std::min<uint64_t>(head.u64(), bytes.size() - head_bytes);
    const std::string_view body = bytes.substr(head_bytes, length);
    agg::Checksum sum;
    sum.update(bytes.data(), head_bytes);
    sum.update(body.data(), body.size());
    out.raw(bytes.data(), head_bytes + length);
    out.u64(sum.value());
    bytes.remove_prefix(head_bytes + length);
  }
  out.raw(bytes.data(), bytes.size());
  return out.take();
}

// All that can be asked of a column.
agg::Query everything(const agg::Schema& schema) {
  using Kind = agg::AggregateKind;
  agg::Query query;
  for (const agg::ColumnSpec& column : schema.columns) {
    for (Kind kind : {Kind::kCount, Kind::kVar, Kind::kMin, Kind::kQuantile, Kind::kDistinct, Kind::kLast}) {
      const bool text = column.type == agg::ColumnType::kString;
      if (text && kind != Kind::kCount && kind != Kind::kDistinct) continue;
      agg::Aggregate& aggregate = query.aggregates.emplace_back();
      aggregate.kind = kind;
      aggregate.column = column.name;
      if (kind == Kind::kQuantile) aggregate.q = {0.5};
      if (kind == Kind::kQuantile) aggregate.mode = agg::QuantileMode::kExact;
    }
  }
  if (query.aggregates.size() > agg::kAggregatesMax) query.aggregates.resize(agg::kAggregatesMax);
  return query;
}

}  // namespace
}  // namespace covey::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  agg::ColumnStoreOptions limits;
  limits.bytes_max = 64 << 20;
  auto restored = agg::restore_checkpoint(fuzz::sealed(fuzz::view(data, size)), {}, limits);
  if (!restored) return 0;
  const std::string again = agg::checkpoint_bytes(restored->store, restored->note);
  auto twice = agg::restore_checkpoint(again, {}, limits);
  COVEY_ASSERT(twice.ok());
  COVEY_ASSERT(agg::checkpoint_bytes(twice->store, twice->note) == again);
  agg::Query all = fuzz::everything(restored->store.schema());
  if (all.aggregates.empty()) return 0;
  agg::Query grouped = all;
  grouped.group_by = {restored->store.schema().columns[0].name};
  for (agg::Siblings siblings : {agg::Siblings::kLatest, agg::Siblings::kMin}) {
    auto plan = agg::Plan::make(restored->store.schema(), {all, grouped}, {.siblings = siblings});
    if (!plan) return 0;
    static const auto backend = agg::make_cpu_backend({.threads = 1});
    agg::PartitionInput input;
    input.store = &restored->store;
    agg::ScanProfile profile;
    auto partials = agg::run(*backend, *plan, std::span(&input, 1), {}, profile);
    if (partials) static_cast<void>(partials->finish(*plan, 0).ok());
  }
  return 0;
}
