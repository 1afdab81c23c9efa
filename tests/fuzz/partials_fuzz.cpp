// What one node tells another of its rows: partial results, the ranges of a later round, what was found in
// them. The first byte says which of them follow; the right checksum is put behind, so that the decoder
// itself is tried.
#include "gpu/bytes.h"
#include "gpu/mix.h"
#include "gpu/partials.h"
#include "tests/fuzz/fuzz.h"

namespace covey::fuzz {
namespace {

agg::Aggregate ask(agg::AggregateKind kind, const std::string& column) {
  agg::Aggregate out;
  out.kind = kind;
  out.column = column;
  return out;
}

agg::Plan make_plan() {
  using Kind = agg::AggregateKind;
  agg::Query all;
  for (Kind kind : {Kind::kCount, Kind::kVar, Kind::kMin, Kind::kDistinct, Kind::kFirst, Kind::kLast}) {
    for (const char* column : {"x", "n"}) all.aggregates.push_back(ask(kind, column));
  }
  for (const char* column : {"x", "n"}) {
    agg::Aggregate quantile = ask(Kind::kQuantile, column);
    quantile.q = {0, 0.5, 1};
    quantile.mode = agg::QuantileMode::kExact;
    all.aggregates.push_back(quantile);
    agg::Aggregate histogram = ask(Kind::kHistogram, column);
    histogram.edges = {int64_t{0}, int64_t{1}, int64_t{5}};
    all.aggregates.push_back(histogram);
  }
  agg::Query grouped = all;
  grouped.group_by = {"s", "n"};
  grouped.limit_groups = 100;
  grouped.special = agg::Special::kPropagate;
  const agg::Schema schema{
      {{"x", agg::ColumnType::kFloat64}, {"n", agg::ColumnType::kInt64}, {"s", agg::ColumnType::kString}}};
  return *agg::Plan::make(schema, {all, grouped});
}

const agg::Plan& plan() {
  static const agg::Plan made = make_plan();
  return made;
}

agg::Refinement some_ranges() {
  agg::Refinement out;
  out.fingerprint = plan().fingerprint();
  out.round = 1;
  out.targets = {{0, "", 10, 4000, 20, true}, {1, "", 5, 1 << 20, 1 << 18, false}};
  return out;
}

std::string sealed(std::string_view body) {
  agg::Checksum sum;
  sum.update(body.data(), body.size());
  agg::ByteWriter out;
  out.raw(body.data(), body.size());
  out.u64(sum.value());
  return out.take();
}

void try_partials(const std::string& bytes) {
  auto partials = agg::Partials::decode(plan(), bytes);
  if (!partials) return;
  COVEY_ASSERT(partials->encode() == bytes);  // one way only to say it
  auto twice = agg::Partials::decode(plan(), bytes);
  COVEY_ASSERT(twice->merge(plan(), std::move(*partials)).ok());
  while (auto wanted = twice->refinement(plan())) {
    // Forged results may lead to ranges that other nodes refuse.
    static_cast<void>(agg::Refinement::decode(plan(), wanted->encode()).ok());
    COVEY_ASSERT(twice->absorb(plan(), *wanted, agg::Refined(*wanted)).ok());
  }
  for (size_t i = 0; i < plan().queries().size(); ++i) static_cast<void>(twice->finish(plan(), i).ok());
}

}  // namespace
}  // namespace covey::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  if (size == 0) return 0;
  const std::string bytes = fuzz::sealed(fuzz::view(data, size).substr(1));
  if (data[0] % 3 == 0) {
    fuzz::try_partials(bytes);
  } else if (data[0] % 3 == 1) {
    auto ranges = agg::Refinement::decode(fuzz::plan(), bytes);
    if (ranges) COVEY_ASSERT(ranges->encode() == bytes);
  } else {
    const agg::Refinement ranges = fuzz::some_ranges();
    auto found = agg::Refined::decode(ranges, bytes);
    if (!found) return 0;
    COVEY_ASSERT(found->encode() == bytes);
    agg::Refined other(ranges);
    COVEY_ASSERT(other.merge(ranges, std::move(*found)).ok());
  }
  return 0;
}
