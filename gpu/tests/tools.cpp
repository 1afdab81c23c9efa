#include "gpu/tests/tools.h"

#include <cstdio>
#include <numeric>

#include "gpu/kernels.h"
#include "gpu/order.h"
#include "gpu/tests/check.h"

namespace covey::agg::test {

void add_column(ColumnStore& store, ColumnSpec spec) {
  Schema schema = store.schema();
  std::vector<uint32_t> from(schema.columns.size());
  std::iota(from.begin(), from.end(), 0);
  schema.columns.push_back(std::move(spec));
  from.push_back(kNewColumn);
  store.rearrange(std::move(schema), from);
}

Stores make_stores(const Schema& schema, const std::vector<Row>& rows, const Layout& layout, Random& random) {
  Stores made;
  ColumnStore::Dictionaries dictionaries;
  std::vector<SlotAllocator> slots(layout.partitions);
  for (uint32_t i = 0; i < layout.partitions; ++i) {
    made.stores.push_back(std::make_unique<ColumnStore>(
        schema, ColumnStoreOptions{.tile_rows = layout.tile_rows}, dictionaries));
    if (!layout.shared_dictionary) continue;
    dictionaries.clear();
    for (uint32_t c = 0; c < schema.columns.size(); ++c)
      dictionaries.push_back(made.stores[0]->shared_dictionary(c));
  }
  std::vector<UpdateBatch> batches(layout.partitions);
  for (const Row& row : rows) {
    const auto partition = static_cast<uint32_t>(random.below(layout.partitions));
    UpdateBatch& batch = batches[partition];
    while (random.chance(layout.gaps)) {
      const Slot gone = *slots[partition].allocate();
      batch.put(gone, row.time, row.values);
      batch.erase(gone);
    }
    const Slot slot = *slots[partition].allocate();
    if (row.siblings.empty()) {
      batch.put(slot, row.time, row.values);
    } else {
      batch.put_siblings(slot, row.siblings);
    }
  }
  for (uint32_t i = 0; i < layout.partitions; ++i) {
    const Status applied = made.stores[i]->apply(batches[i]);
    CHECK(applied.ok());
    made.inputs.push_back({made.stores[i].get(), {}});
  }
  return made;
}

std::optional<Plan> plan_of(const Schema& schema, std::vector<Query> queries, PlanOptions options) {
  Result<Plan> plan = Plan::make(schema, std::move(queries), options);
  if (!plan) std::printf("no plan: %s\n", plan.error().message.c_str());
  CHECK(plan.ok());
  if (!plan) return std::nullopt;
  return std::move(*plan);
}

std::optional<Partials> scan_of(Backend& backend, const Plan& plan, const Stores& stores, uint32_t threads) {
  ScanProfile profile;
  Result<Partials> partials = run(backend, plan, stores.inputs, {.threads = threads}, profile);
  if (!partials) std::printf("no partials: %s\n", partials.error().message.c_str());
  CHECK(partials.ok());
  if (!partials) return std::nullopt;
  return std::move(*partials);
}

Answered read_all(const QueryAnswer& answer) {
  Answered all;
  GroupAnswer group;  // one for all, as callers should
  for (size_t i = 0; i < answer.groups(); ++i) {
    answer.read(i, group);
    all.groups.push_back(group);
  }
  return all;
}

Answered answer_of(const Partials& partials, const Plan& plan, size_t query) {
  const Result<QueryAnswer> answer = partials.finish(plan, query);
  if (!answer) std::printf("no answer: %s\n", answer.error().message.c_str());
  CHECK(answer.ok());
  return answer ? read_all(*answer) : Answered{};
}

Aggregate aggregate(AggregateKind kind, std::string column, uint32_t ddof) {
  Aggregate result;
  result.kind = kind;
  result.column = std::move(column);
  result.ddof = ddof;
  return result;
}

Aggregate quantiles(std::string column, std::vector<double> q, QuantileMode mode) {
  Aggregate result = aggregate(AggregateKind::kQuantile, std::move(column));
  result.q = std::move(q);
  result.mode = mode;
  return result;
}

Aggregate histogram(std::string column, std::vector<Value> edges) {
  Aggregate result = aggregate(AggregateKind::kHistogram, std::move(column));
  result.edges = std::move(edges);
  return result;
}

std::string text_of(const Number& number) {
  if (const auto* integer = std::get_if<int64_t>(&number)) return std::to_string(*integer);
  if (const auto* decimal = std::get_if<Decimal>(&number)) return decimal->digits;
  if (const auto* real = std::get_if<double>(&number)) {
    char text[32];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(bits_of(*real)));
    return text;
  }
  return "null";
}

std::string text_of(const Value& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return text_of(Number(*integer));
  if (const auto* real = std::get_if<double>(&value)) return text_of(Number(*real));
  if (const auto* text = std::get_if<std::string>(&value)) return '"' + *text + '"';
  return "null";
}

std::string text_of(const Answered& answer) {
  std::string text;
  for (const GroupAnswer& group : answer.groups) {
    text += "[";
    for (const Value& value : group.key) text += text_of(value) + ",";
    text += "] rows " + std::to_string(group.rows);
    for (const ColumnNote& note : group.notes) {
      text += " (" + std::to_string(note.column) + ": " + std::to_string(note.nulls) + " nulls " +
              std::to_string(note.nan) + " nan " + std::to_string(note.positive_infinities) + " " +
              std::to_string(note.negative_infinities) + " inf)";
    }
    for (const AggregateAnswer& one : group.aggregates) {
      text += one.approximate ? " ~" : " ";
      for (const Number& number : one.values) text += text_of(number) + ",";
      if (one.counts.empty()) continue;
      text += std::to_string(one.below) + "<";
      for (const uint64_t count : one.counts) text += std::to_string(count) + ",";
      text += "<" + std::to_string(one.above);
    }
    text += "\n";
  }
  return text;
}

std::vector<CpuOptions::Isa> instruction_sets() {
  std::vector<CpuOptions::Isa> sets;
  const Kernels* before = nullptr;
  for (const auto isa : {CpuOptions::Isa::kScalar, CpuOptions::Isa::kAvx2, CpuOptions::Isa::kAvx512,
                         CpuOptions::Isa::kAvx512Ifma}) {
    const Kernels* table = &kernels(static_cast<int>(isa));
    if (table != before) sets.push_back(isa);
    before = table;
  }
  return sets;
}

}  // namespace covey::agg::test
