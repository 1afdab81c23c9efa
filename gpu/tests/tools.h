// What the tests share: a seeded generator, rows as plain values, and stores made from them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpu/backend.h"
#include "gpu/mix.h"

namespace covey::agg::test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() { return mix64(state_++); }
  uint64_t below(uint64_t limit) { return next() % limit; }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  bool chance(double p) { return unit() < p; }
  template <class T>
  void shuffle(std::vector<T>& values) {
    for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  uint64_t state_;
};

struct Row {
  int64_t time = 0;
  std::vector<Value> values;
  std::vector<RowVersion> siblings;  // with them: the last is `values` at `time`
};

// How rows become stores: partitions, tile size, gaps between slots, own or shared dictionaries.
struct Layout {
  uint32_t partitions = 1;
  uint32_t tile_rows = kTileRows;
  double gaps = 0;  // slots that were taken once and erased
  bool shared_dictionary = true;
};

struct Stores {
  std::vector<std::unique_ptr<ColumnStore>> stores;
  std::vector<PartitionInput> inputs;
};

// Behind the others, to be filled.
void add_column(ColumnStore& store, ColumnSpec spec);
Stores make_stores(const Schema& schema, const std::vector<Row>& rows, const Layout& layout, Random& random);

// Fails a check and answers nothing where the library answers an error.
std::optional<Plan> plan_of(const Schema& schema, std::vector<Query> queries, PlanOptions options = {});
std::optional<Partials> scan_of(Backend& backend, const Plan& plan, const Stores& stores,
                                uint32_t threads = 0);
// A query's answer with all groups read.
struct Answered {
  std::vector<GroupAnswer> groups;
};
Answered read_all(const QueryAnswer& answer);
Answered answer_of(const Partials& partials, const Plan& plan, size_t query = 0);

Aggregate aggregate(AggregateKind kind, std::string column, uint32_t ddof = 0);
Aggregate quantiles(std::string column, std::vector<double> q, QuantileMode mode);
Aggregate histogram(std::string column, std::vector<Value> edges);

std::string text_of(const Number& number);  // doubles as bits
std::string text_of(const Value& value);
std::string text_of(const Answered& answer);

// All instruction sets that this machine runs.
std::vector<CpuOptions::Isa> instruction_sets();

}  // namespace covey::agg::test
