// What anybody may send to POST /v1/aggregate, as far as to the plans of its queries.
#include "gpu/plan.h"
#include "server/aggregate_request.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  static const agg::Schema schema{
      {{"x", agg::ColumnType::kFloat64}, {"n", agg::ColumnType::kInt64}, {"s", agg::ColumnType::kString}}};
  auto request = server::parse_aggregate(fuzz::view(data, size));
  if (!request) {
    COVEY_ASSERT(!request.error().message.empty());
    return 0;
  }
  size_t queries = 0;
  for (const server::TableQueries& table : request->tables) {
    queries += table.queries.size();
    COVEY_ASSERT(table.queries.size() == table.places.size());
    auto plan = agg::Plan::make(schema, table.queries, {.siblings = request->siblings});
    // What is handed to other nodes means the same there.
    auto there = server::read_queries(table.table, table.text);
    COVEY_ASSERT(there.ok());
    COVEY_ASSERT(there->key_sets == table.key_sets && there->one_quantile == table.one_quantile);
    auto other = agg::Plan::make(schema, there->queries, {.siblings = request->siblings});
    COVEY_ASSERT(plan.ok() == other.ok());
    if (plan) COVEY_ASSERT(plan->fingerprint() == other->fingerprint());
  }
  COVEY_ASSERT(queries == request->queries);
  return 0;
}
