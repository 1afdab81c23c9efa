// The same questions to a device, its own read ceiling beside them, and whether all give the same bits.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>

#include "gpu/bench/bench.h"
#include "gpu/mix.h"

namespace covey::agg::bench {

namespace {

struct Asked {
  Sample sample;
  double scan_ms = 0;  // of the last round: what the kernels took
  double other_ms = 0;
  std::string bytes;  // of the partials
  std::string refused;
};

Asked ask(Backend& backend, const Data& data, const std::vector<Query>& queries, int rounds) {
  Asked asked;
  asked.sample = measure(rounds, [&] {
    const Result<Plan> plan = Plan::make(data.schema, queries);
    ScanProfile profile;
    const Result<Partials> partials = run(backend, *plan, data.inputs, {}, profile);
    if (!partials) {
      asked.refused = partials.error().message;
      return;
    }
    for (size_t i = 0; i < queries.size(); ++i) {
      read_all(*partials, *plan, i);
    }
    asked.scan_ms = profile.scan_us / 1000;
    asked.other_ms = (profile.upload_us + profile.download_us + profile.merge_us) / 1000;
    asked.bytes = partials->encode();
  });
  return asked;
}

void row(const Question& question, const Asked& asked, const Asked& cpu, const Data& data, double ceiling) {
  if (!asked.refused.empty()) {
    std::printf("| %s | by the CPU: %s | | | | | | | |\n", question.name, asked.refused.c_str());
    return;
  }
  const double bytes = question.bytes_a_row * static_cast<double>(data.rows);
  const double scanned = bytes / asked.scan_ms / 1e6;
  std::printf("| %s | %.3f | %.3f–%.3f | %.3f | %.3f | %.0f | %.0f %% | %.1f | %s |\n", question.name,
              asked.sample.median_ms, asked.sample.least_ms, asked.sample.most_ms, asked.scan_ms,
              asked.other_ms, scanned, 100 * scanned / ceiling, cpu.sample.median_ms / asked.sample.median_ms,
              asked.bytes == cpu.bytes ? "yes" : "NO");
  std::fflush(stdout);
}

// A store of a million rows whose order depends on the seed.
Data shuffled(uint64_t seed) {
  constexpr uint32_t kRows = 1u << 20;
  Data data;
  data.schema = {{{"x", ColumnType::kFloat64}}};
  data.rows = kRows;
  data.stores.push_back(std::make_unique<ColumnStore>(data.schema));
  UpdateBatch batch;
  for (uint32_t row = 0; row < kRows; ++row) {
    const uint64_t random = mix64(row);
    const std::vector<Value> values = {(static_cast<double>(random >> 11) * 0x1p-53 - 0.5) *
                                       (row % 7 == 0 ? 1e12 : 1)};
    batch.put(static_cast<Slot>((row * (2 * seed + 1) + mix64(seed)) % kRows), row, values);
    if (batch.size() == 10000 || row + 1 == kRows) {
      if (!data.stores[0]->apply(batch)) std::abort();
      batch.clear();
    }
  }
  data.inputs.push_back({data.stores[0].get(), {}});
  return data;
}

}  // namespace

void count_bit_patterns(Backend& cpu, Backend* device) {
  Query query;
  for (const AggregateKind kind : {AggregateKind::kSum, AggregateKind::kAvg, AggregateKind::kVar}) {
    Aggregate aggregate;
    aggregate.kind = kind;
    aggregate.column = "x";
    query.aggregates.push_back(aggregate);
  }
  std::set<std::string> patterns;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Data data = shuffled(seed);
    patterns.insert(ask(cpu, data, {query}, 1).bytes);
    if (device != nullptr) patterns.insert(ask(*device, data, {query}, 1).bytes);
  }
  std::printf("\nSum, mean and variance of 1,048,576 doubles in 20 orders, %s: %zu bit pattern%s.\n",
              device != nullptr ? "by the CPU and by the device" : "by the CPU", patterns.size(),
              patterns.size() == 1 ? "" : "s");
}

void measure_device(Backend& device, Backend& cpu, const Data& data, const std::vector<Question>& questions,
                    const Options& options) {
  CostModel model;
  device.measure(model);
  const double ceiling = model.gpu_bytes_per_us / 1000;
  std::printf(
      "\nDevice: %s. Plain read kernel (the ceiling) %.0f GB/s, copies to it %.1f GB/s, a batch that reads "
      "nothing %.1f us.\n\n",
      device.describe().c_str(), ceiling, model.link_bytes_per_us / 1000, model.gpu_launch_us);
  std::printf(
      "| | ms | lowest–highest | kernels ms | copies, merge ms | GB/s | of the read ceiling | times the "
      "CPU's speed | "
      "CPU's bits |\n|---|--:|--:|--:|--:|--:|--:|--:|---|\n");
  std::vector<std::pair<const Question*, double>> batches;
  for (const Question& question : questions) {
    if (std::strstr(question.name, options.only.c_str()) == nullptr) continue;
    const Asked on_cpu = ask(cpu, data, question.queries, 1);
    const Asked asked = ask(device, data, question.queries, options.rounds);
    row(question, asked, on_cpu, data, ceiling);
    if (question.queries.size() > 1 && asked.refused.empty())
      batches.emplace_back(&question, asked.sample.median_ms);
  }
  for (const auto& [question, batch_ms] : batches) {
    double total = 0;
    for (const Query& query : question->queries)
      total += ask(device, data, {query}, options.rounds).sample.median_ms;
    std::printf("\n%s: %.2f ms one by one, %.2f ms in one batch: %.1f times faster.\n", question->name, total,
                batch_ms, total / batch_ms);
  }
  // Cold: every tile crosses the link.
  device.evict(UINT64_MAX);
  const Asked cold = ask(device, data, questions[0].queries, 1);
  device.evict(UINT64_MAX);
  const Result<Plan> plan = Plan::make(data.schema, questions[0].queries);
  ScanProfile profile;
  if (!run(device, *plan, data.inputs, {}, profile)) std::abort();
  std::printf("\nNothing resident: %s in %.1f ms, of which %.1f ms are uploads; then %.3f ms.\n",
              questions[0].name,
              (profile.upload_us + profile.scan_us + profile.download_us + profile.merge_us) / 1000,
              profile.upload_us / 1000, cold.sample.median_ms);
}

}  // namespace covey::agg::bench
