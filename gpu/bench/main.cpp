// covey-gpu-bench [--rows N] [--threads N] [--rounds N] [--partitions N] [--isa 1|2|3|4] [--only PART]
// [--device auto|gpu|cpu]: tables in Markdown, of the CPU and of a device. auto: of a device where there is
// one; gpu: of a device alone, exit 3 where there is none.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "gpu/bench/bench.h"
#include "gpu/checkpoint.h"
#include "gpu/mix.h"

namespace covey::agg::bench {

namespace {

Aggregate ask(AggregateKind kind, const char* column = "x") {
  Aggregate aggregate;
  aggregate.kind = kind;
  aggregate.column = column;
  return aggregate;
}

Query of(std::vector<Aggregate> aggregates) {
  Query query;
  query.aggregates = std::move(aggregates);
  query.limit_groups = 2000000;
  return query;
}

Query grouped(const char* column, Query query) {
  query.group_by = {column};
  return query;
}

Query grouped_by_two(const char* first, const char* second, Query query) {
  query.group_by = {first, second};
  return query;
}

Query where(const char* column, Compare op, Value constant, Query query) {
  query.where.push_back({column, op, {std::move(constant)}});
  return query;
}

Aggregate quantiles(QuantileMode mode) {
  Aggregate aggregate = ask(AggregateKind::kQuantile);
  aggregate.q = {0.01, 0.5, 0.99};
  aggregate.mode = mode;
  return aggregate;
}

Aggregate histogram() {
  Aggregate aggregate = ask(AggregateKind::kHistogram);
  for (int i = 0; i <= 20; ++i) aggregate.edges.push_back(i / 20.0);
  return aggregate;
}

Query five(const char* column) {
  std::vector<Aggregate> aggregates;
  for (const auto kind : {AggregateKind::kSum, AggregateKind::kMin, AggregateKind::kMax, AggregateKind::kAvg,
                          AggregateKind::kStddev}) {
    aggregates.push_back(ask(kind, column));
  }
  return of(std::move(aggregates));
}

// Eight figures of each of two columns.
std::vector<Query> two_columns() {
  std::vector<Query> queries;
  for (const char* column : {"x", "n"}) {
    for (const AggregateKind kind :
         {AggregateKind::kCount, AggregateKind::kSum, AggregateKind::kAvg, AggregateKind::kMin,
          AggregateKind::kMax, AggregateKind::kVar, AggregateKind::kStddev}) {
      queries.push_back(of({ask(kind, column)}));
    }
    queries.push_back(five(column));
  }
  return queries;
}

// Eight figures of all rows, and the same of half of them, quantiles among them.
std::vector<Query> dashboard() {
  std::vector<Query> queries;
  for (const bool half : {false, true}) {
    for (const AggregateKind kind :
         {AggregateKind::kCount, AggregateKind::kSum, AggregateKind::kAvg, AggregateKind::kMin,
          AggregateKind::kMax, AggregateKind::kVar, AggregateKind::kStddev, AggregateKind::kQuantile}) {
      const Query query =
          of({kind == AggregateKind::kQuantile ? quantiles(QuantileMode::kSketch) : ask(kind)});
      queries.push_back(half ? where("x", Compare::kGreaterEqual, 0.5, query) : query);
    }
  }
  return queries;
}

std::vector<Query> sixteen_filters() {
  std::vector<Query> queries;
  for (int i = 0; i < 16; ++i)
    queries.push_back(where("x", Compare::kGreaterEqual, i / 16.0, of({ask(AggregateKind::kSum)})));
  return queries;
}

std::vector<Question> questions() {
  const Query sum = of({ask(AggregateKind::kSum)});
  return {
      {"sum of float64", {sum}, 8},
      {"sum of int64", {of({ask(AggregateKind::kSum, "n")})}, 8},
      {"min and max", {of({ask(AggregateKind::kMin), ask(AggregateKind::kMax)})}, 8},
      {"sum, min, max, avg, stddev", {five("x")}, 8},
      {"sum, min, max, avg, stddev of int64", {five("n")}, 8},
      {"sum where x < 1 %", {where("x", Compare::kLess, 0.01, sum)}, 8},
      {"sum where x < 10 %", {where("x", Compare::kLess, 0.1, sum)}, 8},
      {"sum where x < 50 %", {where("x", Compare::kLess, 0.5, sum)}, 8},
      {"sum where x < 90 %", {where("x", Compare::kLess, 0.9, sum)}, 8},
      {"sum where another column < 1 %", {where("n", Compare::kLess, int64_t{-980000}, sum)}, 16},
      {"sum where another column < 50 %", {where("n", Compare::kLess, int64_t{0}, sum)}, 16},
      {"sum by 16 integers", {grouped("k", sum)}, 16},
      {"sum by 16 integers, Zipf", {grouped("k_z", sum)}, 16},
      {"sum by 1,000 strings", {grouped("site", sum)}, 12},
      {"sum by 1,000 strings, Zipf", {grouped("site_z", sum)}, 12},
      {"sum by 64 K integers", {grouped("g", sum)}, 16},
      {"sum by 64 K integers, Zipf", {grouped("g_z", sum)}, 16},
      {"sum by 1 M integers", {grouped("h", sum)}, 16},
      {"sum by 1 M integers, Zipf", {grouped("h_z", sum)}, 16},
      {"sum by 64 K times 16 integers", {grouped_by_two("g", "k", sum)}, 24},
      {"quantiles, sketch", {of({quantiles(QuantileMode::kSketch)})}, 8},
      {"quantiles, exact", {of({quantiles(QuantileMode::kExact)})}, 16},
      {"distinct", {of({ask(AggregateKind::kDistinct)})}, 8},
      {"histogram of 20 bins", {of({histogram()})}, 8},
      {"16 queries, eight figures of two columns", two_columns(), 16},
      {"16 queries, eight figures of all rows and of half", dashboard(), 8},
      {"16 queries, sums with different filters", sixteen_filters(), 8},
  };
}

Sample ask_all(Backend& backend, const Data& data, const std::vector<Query>& queries,
               const Options& options) {
  return measure(options.rounds, [&] {
    const Result<Plan> plan = Plan::make(data.schema, queries);
    ScanProfile profile;
    Result<Partials> partials = run(backend, *plan, data.inputs, {.threads = options.threads}, profile);
    if (!partials) std::abort();
    for (size_t i = 0; i < queries.size(); ++i) {
      read_all(*partials, *plan, i);
    }
  });
}

void row(const char* name, const Sample& sample, const Data& data, double bytes_a_row, double ceiling) {
  const double gb = bytes_a_row * static_cast<double>(data.rows) / sample.median_ms / 1e6;
  std::printf("| %s | %.1f | %.1f–%.1f | %.1f | %.0f | %.1f | %.0f %% |\n", name, sample.median_ms,
              sample.least_ms, sample.most_ms, sample.cpu_ms,
              static_cast<double>(data.rows) / sample.median_ms / 1000, gb, 100 * gb / ceiling);
  std::fflush(stdout);
}

void one_by_one(Backend& backend, const Data& data, const Question& question, const Options& options,
                const Sample& batch) {
  double total = 0;
  double processor = 0;
  for (const Query& query : question.queries) {
    const Sample sample = ask_all(backend, data, {query}, options);
    total += sample.median_ms;
    processor += sample.cpu_ms;
  }
  std::printf(
      "\n%s: %.1f ms one by one, %.1f ms in one batch: %.1f times faster; by processor time %.1f times.\n",
      question.name, total, batch.median_ms, total / batch.median_ms, processor / batch.cpu_ms);
}

void upserts(Data& data, const Options& options) {
  UpdateBatch batch;
  std::vector<Value> values(data.schema.columns.size(), int64_t{1});
  values[2] = values[6] = std::string("site-1");
  uint64_t seed = 1;
  const Sample sample = measure(std::min(options.rounds, 3), [&] {
    for (int i = 0; i < 1000000; ++i) {
      const uint64_t random = mix64(seed++);
      values[0] = static_cast<double>(random >> 11) * 0x1p-53;
      batch.put(static_cast<Slot>(random % data.stores[0]->rows()), i, values);
      if (batch.size() < 1000) continue;
      if (!data.stores[0]->apply(batch)) std::abort();
      batch.clear();
    }
  });
  std::printf("\nA million upserts of rows of %zu columns, in batches of 1,000: %.0f ms (%.0f–%.0f).\n",
              data.schema.columns.size(), sample.median_ms, sample.least_ms, sample.most_ms);
}

void checkpoints(const Data& data) {
  const auto begin = std::chrono::steady_clock::now();
  const std::string bytes = checkpoint_bytes(*data.stores[0], "");
  const auto written = std::chrono::steady_clock::now();
  if (!restore_checkpoint(bytes)) std::abort();
  const auto read = std::chrono::steady_clock::now();
  const auto ms = [](auto a, auto b) { return std::chrono::duration<double, std::milli>(b - a).count(); };
  std::printf(
      "\nCheckpoint of %.1f M rows of %zu columns and the time: %.0f MB, written to memory in %.0f ms, "
      "restored in %.0f ms.\n",
      static_cast<double>(data.stores[0]->rows()) / 1e6, data.schema.columns.size(),
      static_cast<double>(bytes.size()) / 1e6, ms(begin, written), ms(written, read));
}

int main_program(const Options& options) {
  Result<std::unique_ptr<Backend>> device = make_cuda_backend({.enabled = options.device != "cpu"});
  if (!device && options.device == "gpu") {
    std::fprintf(stderr, "covey-gpu-bench: no device: %s\n", device.error().message.c_str());
    return 3;
  }
  const auto backend =
      make_cpu_backend({.threads = options.threads, .isa = static_cast<CpuOptions::Isa>(options.isa)});
  const uint32_t threads =
      options.threads == 0 ? std::max(1u, std::thread::hardware_concurrency()) : options.threads;
  Data data = make_data(options);
  if (options.device == "gpu") {
    std::printf("%.1f M rows in %u partitions, %d rounds, medians.\n",
                static_cast<double>(options.rows) / 1e6, options.partitions, options.rounds);
    measure_device(**device, *backend, data, questions(), options);
    if (options.only.empty()) count_bit_patterns(*backend, device->get());
    return 0;
  }
  std::printf("CPU back end: %s. %.1f M rows in %u partitions, %d rounds, medians.\n\n",
              backend->describe().c_str(), static_cast<double>(options.rows) / 1e6, options.partitions,
              options.rounds);
  std::printf(
      "| | ms | lowest–highest | CPU ms | M rows/s | GB/s | of the read ceiling "
      "|\n|---|--:|--:|--:|--:|--:|--:|\n");
  const Sample read = measure_ceiling(data, threads, options.rounds);
  const double ceiling = 8 * static_cast<double>(data.rows) / read.median_ms / 1e6;
  row("plain read (the ceiling)", read, data, 8, ceiling);
  row("plain sum of doubles, not exact", measure_naive(data, threads, options.rounds), data, 8, ceiling);
  std::vector<std::pair<Question, Sample>> batches;
  for (const Question& question : questions()) {
    if (std::strstr(question.name, options.only.c_str()) == nullptr) continue;
    const Sample sample = ask_all(*backend, data, question.queries, options);
    row(question.name, sample, data, question.bytes_a_row, ceiling);
    if (question.queries.size() > 1) batches.emplace_back(question, sample);
  }
  row("plain read again", measure_ceiling(data, threads, options.rounds), data, 8, ceiling);
  for (const auto& [question, batch] : batches) one_by_one(*backend, data, question, options, batch);
  if (!options.only.empty()) return 0;
  checkpoints(data);
  upserts(data, options);
  if (device) measure_device(**device, *backend, data, questions(), options);
  count_bit_patterns(*backend, device ? device->get() : nullptr);
  if (!device) std::printf("\nNothing was measured on a device: %s.\n", device.error().message.c_str());
  return 0;
}

}  // namespace

}  // namespace covey::agg::bench

int main(int argc, char** argv) {
  covey::agg::bench::Options options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (name == "--rows") {
      options.rows = std::strtoull(value, nullptr, 10);
    } else if (name == "--threads") {
      options.threads = static_cast<uint32_t>(std::atoi(value));
    } else if (name == "--rounds") {
      options.rounds = std::max(1, std::atoi(value));
    } else if (name == "--partitions") {
      options.partitions = static_cast<uint32_t>(std::max(1, std::atoi(value)));
    } else if (name == "--isa") {
      options.isa = std::atoi(value);
    } else if (name == "--device") {
      options.device = value;
    } else if (name == "--only") {
      options.only = value;
    } else {
      std::fprintf(stderr, "covey-gpu-bench: unknown option %s; see the first line of gpu/bench/main.cpp\n",
                   name.c_str());
      return 2;
    }
  }
  return covey::agg::bench::main_program(options);
}
