#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "gpu/bench/bench.h"
#include "gpu/cpu_threads.h"
#include "gpu/mix.h"

namespace covey::agg::bench {

Sample measure(int rounds, const std::function<void()>& work) {
  std::vector<double> times;
  std::vector<double> processor;
  work();
  for (int i = 0; i < rounds; ++i) {
    const std::clock_t used = std::clock();
    const auto begin = std::chrono::steady_clock::now();
    work();
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    processor.push_back(static_cast<double>(std::clock() - used) * 1000 / CLOCKS_PER_SEC);
  }
  std::sort(times.begin(), times.end());
  std::sort(processor.begin(), processor.end());
  return {times[times.size() / 2], times.front(), times.back(), processor[processor.size() / 2]};
}

namespace {

// 0 to n - 1 by Zipf's law with exponent 1, for the price of one exponential: rank k has the share
// ln(1 + 1/k) / ln(n + 1), which is nearly proportional to 1/k. Frequent ones do not lie side by side.
uint64_t zipf(uint64_t n, uint64_t random) {
  const double unit = static_cast<double>(random >> 11) * 0x1p-53;
  const auto rank = static_cast<uint64_t>(std::exp(unit * std::log(static_cast<double>(n + 1))));
  return std::min(rank - 1, n - 1) * 7919 % n;
}

}  // namespace

Data make_data(const Options& options) {
  Data data;
  data.schema = {{{"x", ColumnType::kFloat64},
                  {"n", ColumnType::kInt64},
                  {"site", ColumnType::kString},
                  {"k", ColumnType::kInt64},
                  {"g", ColumnType::kInt64},
                  {"h", ColumnType::kInt64},
                  {"site_z", ColumnType::kString},
                  {"k_z", ColumnType::kInt64},
                  {"g_z", ColumnType::kInt64},
                  {"h_z", ColumnType::kInt64}}};
  data.rows = options.rows;
  ColumnStore::Dictionaries dictionaries;
  for (uint32_t i = 0; i < options.partitions; ++i) {
    data.stores.push_back(std::make_unique<ColumnStore>(data.schema, ColumnStoreOptions{}, dictionaries));
    dictionaries.clear();
    for (uint32_t c = 0; c < data.schema.columns.size(); ++c)
      dictionaries.push_back(data.stores[0]->shared_dictionary(c));
  }
  std::vector<std::string> sites;
  for (int i = 0; i < 1000; ++i) sites.push_back("site-" + std::to_string(i));
  std::vector<Value> values(data.schema.columns.size());
  UpdateBatch batch;
  for (uint32_t partition = 0; partition < options.partitions; ++partition) {
    Slot slot = 0;
    for (uint64_t row = partition; row < options.rows; row += options.partitions) {
      const uint64_t random = mix64(row);
      values[0] = static_cast<double>(random >> 11) * 0x1p-53;
      values[1] = static_cast<int64_t>(mix64(random) % 2000001) - 1000000;
      values[2] = sites[mix64(random + 1) % 1000];
      values[3] = static_cast<int64_t>(mix64(random + 4) % 16);
      values[4] = static_cast<int64_t>(mix64(random + 2) % 65536);
      values[5] = static_cast<int64_t>(mix64(random + 3) % 1000000);
      values[6] = sites[zipf(1000, mix64(random + 5))];
      values[7] = static_cast<int64_t>(zipf(16, mix64(random + 6)));
      values[8] = static_cast<int64_t>(zipf(65536, mix64(random + 7)));
      values[9] = static_cast<int64_t>(zipf(1000000, mix64(random + 8)));
      batch.put(slot++, static_cast<int64_t>(row), values);
      if (batch.size() < 10000 && row + options.partitions < options.rows) continue;
      if (!data.stores[partition]->apply(batch)) std::abort();
      batch.clear();
    }
  }
  for (const auto& store : data.stores) data.inputs.push_back({store.get(), {}});
  return data;
}

namespace {

typedef uint64_t Words __attribute__((vector_size(32)));
typedef double Doubles __attribute__((vector_size(32)));

template <class V>
__attribute__((target("avx2"))) double read_tile(const void* bytes, size_t size) {
  const auto* at = static_cast<const V*>(bytes);
  V sums[8] = {};
  for (size_t i = 0; i < size / sizeof(V); i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) sums[lane] += at[i + lane];
  }
  for (size_t lane = 1; lane < 8; ++lane) sums[0] += sums[lane];
  return static_cast<double>(sums[0][0]);
}

template <class V>
Sample read_columns(const Data& data, uint32_t threads, int rounds) {
  std::vector<std::pair<const void*, size_t>> tiles;
  for (const auto& store : data.stores) {
    for (uint32_t i = 0; i < store->tiles(); ++i)
      tiles.emplace_back(store->tile(0, i)->values.get(), store->capacity(i) * size_t{8});
  }
  std::vector<double> sums(threads * 8);
  CpuThreads pool(threads);
  return measure(rounds, [&] {
    std::atomic<size_t> next{0};
    pool.run(threads, [&](uint32_t thread) {
      for (size_t i; (i = next.fetch_add(1)) < tiles.size();)
        sums[thread * 8] += read_tile<V>(tiles[i].first, tiles[i].second);
    });
  });
}

}  // namespace

void read_all(const Partials& partials, const Plan& plan, size_t query) {
  const Result<QueryAnswer> answer = partials.finish(plan, query);
  if (!answer) std::abort();
  GroupAnswer group;
  for (size_t i = 0; i < answer->groups(); ++i) answer->read(i, group);
}

Sample measure_ceiling(const Data& data, uint32_t threads, int rounds) {
  return read_columns<Words>(data, threads, rounds);
}
Sample measure_naive(const Data& data, uint32_t threads, int rounds) {
  return read_columns<Doubles>(data, threads, rounds);
}

}  // namespace covey::agg::bench
