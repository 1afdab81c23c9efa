#include "server/aggregate_merge.h"

#include <utility>

#include "server/aggregate_reply.h"

namespace covey::server {
namespace {

agg::Status add_partials(const AggregatePart& part, GatheredShare& share) {
  // A share of no partition may be empty.
  if (!share.here && share.answer.bytes.empty()) return agg::Done{};
  if (share.here) return part.merged->merge(*part.plan, std::move(share.answer.partials));
  auto partials = agg::Partials::decode(*part.plan, share.answer.bytes);
  if (!partials) return partials.error();
  return part.merged->merge(*part.plan, std::move(*partials));
}

agg::Status add_refined(const agg::Refinement& refinement, GatheredShare& share, agg::Refined& found) {
  if (share.here) return found.merge(refinement, std::move(share.answer.refined));
  auto refined = agg::Refined::decode(refinement, share.answer.bytes);
  if (!refined) return refined.error();
  return found.merge(refinement, std::move(*refined));
}

agg::Status add_all(const AggregatePart& part, const std::optional<agg::Refinement>& refinement,
                    std::vector<GatheredShare>& shares) {
  agg::Refined found;
  if (refinement) found = agg::Refined(*refinement);
  for (GatheredShare& share : shares) {
    auto added = refinement ? add_refined(*refinement, share, found) : add_partials(part, share);
    if (!added) return added.error();
  }
  if (refinement) return part.merged->absorb(*part.plan, *refinement, found);
  return agg::Done{};
}

void finish(const AggregatePart& part, MergedShares& out) {
  const TableQueries& queries = *part.queries;
  for (size_t i = 0; i < queries.queries.size(); ++i) {
    auto answer = part.merged->finish(*part.plan, i);
    if (!answer) {
      out.error = error_of(answer.error(), queries.queries[i].id);
      return;
    }
    append_answer(out.answers.emplace_back(), part.table->schema(), queries.queries[i],
                  queries.one_quantile[i], *answer);
  }
}

}  // namespace

MergedShares merge_shares(const AggregatePart& part, const std::optional<agg::Refinement>& refinement,
                          std::vector<GatheredShare>& shares) {
  MergedShares out;
  const double begun_us = steady_us();
  if (auto added = add_all(part, refinement, shares); !added) {
    out.error = error_of(added.error(), "");
    return out;
  }
  out.refinement = part.merged->refinement(*part.plan);
  out.merge_us = steady_us() - begun_us;
  if (!out.refinement) finish(part, out);
  out.encode_us = steady_us() - begun_us - out.merge_us;
  return out;
}

}  // namespace covey::server
