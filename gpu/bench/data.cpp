#include <algorithm>
#include <chrono>
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

Data make_data(const Options& options) {
  Data data;
  data.schema = {{{"x", ColumnType::kFloat64},
                  {"n", ColumnType::kInt64},
                  {"site", ColumnType::kString},
                  {"g", ColumnType::kInt64},
                  {"h", ColumnType::kInt64}}};
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
  std::vector<Value> values(5);
  UpdateBatch batch;
  for (uint32_t partition = 0; partition < options.partitions; ++partition) {
    Slot slot = 0;
    for (uint64_t row = partition; row < options.rows; row += options.partitions) {
      const uint64_t random = mix64(row);
      values[0] = static_cast<double>(random >> 11) * 0x1p-53;
      values[1] = static_cast<int64_t>(mix64(random) % 2000001) - 1000000;
      values[2] = sites[mix64(random + 1) % 1000];
      values[3] = static_cast<int64_t>(mix64(random + 2) % 65536);
      values[4] = static_cast<int64_t>(mix64(random + 3) % 1000000);
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
Sample read_all(const Data& data, uint32_t threads, int rounds) {
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

Sample measure_ceiling(const Data& data, uint32_t threads, int rounds) {
  return read_all<Words>(data, threads, rounds);
}
Sample measure_naive(const Data& data, uint32_t threads, int rounds) {
  return read_all<Doubles>(data, threads, rounds);
}

}  // namespace covey::agg::bench
