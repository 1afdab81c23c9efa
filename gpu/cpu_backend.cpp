#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "gpu/backend.h"
#include "gpu/cpu_group_merge.h"
#include "gpu/cpu_ranges.h"
#include "gpu/cpu_refine.h"
#include "gpu/cpu_scan.h"
#include "gpu/cpu_threads.h"

namespace covey::agg {

namespace {

using Clock = std::chrono::steady_clock;
double us_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

uint32_t thread_count(uint32_t wanted) {
  const uint32_t cores = std::max(1u, std::thread::hardware_concurrency());
  return std::clamp(wanted == 0 ? cores : wanted, 1u, 256u);
}

Error cancelled() {
  return Error{ErrorCode::kCancelled, "the aggregation was cancelled or ran out of time", ""};
}

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(CpuOptions options)
      : kernels_(kernels(static_cast<int>(options.isa))), threads_(thread_count(options.threads)) {}

  std::string_view name() const override { return "cpu"; }
  std::string describe() const override {
    return std::string(kernels_.name) + ", " + std::to_string(threads_.count()) + " threads";
  }
  uint64_t resident_bytes(const Plan&, std::span<const PartitionInput>) const override { return 0; }
  MemoryReport memory() const override { return {}; }
  void evict(uint64_t) override {}
  void forget(uint64_t) override {}

  Result<Partials> scan(const Plan& plan, std::span<const PartitionInput> inputs, const ScanOptions& options,
                        ScanProfile& profile) override {
    const auto begin = Clock::now();
    Result<BoundScan> bound = bind(plan, inputs);
    if (!bound) return bound.error();
    const uint32_t workers = this->workers(options, bound->units.size());
    std::vector<ThreadScan> parts(workers);
    std::atomic<size_t> next{0};
    std::atomic<bool> stopped{false};
    threads_.run(workers, [&](uint32_t worker) {
      scan_units(*bound, workers, options, next, stopped, parts[worker]);
    });
    if (stopped) return cancelled();
    for (const ThreadScan& one : parts) profile.add(one.profile);
    profile.scan_us += us_since(begin);

    const auto merging = Clock::now();
    Partials partials(plan);
    merge_groups(*bound, parts, partials);
    for (uint32_t i = 0; i < plan.selections().size(); ++i) {
      if (parts[0].selections[i]->grouped()) continue;
      partials.selections()[i] = parts[0].selections[i]->finish();
      for (uint32_t worker = 1; worker < workers; ++worker) {
        merge_selection(plan, i, partials.selections()[i], parts[worker].selections[i]->finish());
      }
    }
    profile.merge_us += us_since(merging);
    return partials;
  }

  Result<Refined> refine(const Plan& plan, const Refinement& ask, std::span<const PartitionInput> inputs,
                         const ScanOptions& options, ScanProfile& profile) override {
    const auto begin = Clock::now();
    if (ask.fingerprint != plan.fingerprint())
      return Error{ErrorCode::kMismatch, "a round of other queries: ask again", ""};
    Result<BoundScan> bound = bind(plan, inputs);
    if (!bound) return bound.error();
    const uint32_t workers = this->workers(options, bound->units.size());
    std::vector<Refined> parts(workers, Refined(ask));
    std::atomic<size_t> next{0};
    std::atomic<bool> stopped{false};
    threads_.run(workers, [&](uint32_t worker) {
      std::vector<std::unique_ptr<ThreadRefine>> selections;
      for (uint32_t i = 0; i < plan.selections().size(); ++i) {
        selections.push_back(std::make_unique<ThreadRefine>(*bound, kernels_, i, ask, parts[worker]));
      }
      for (size_t unit; (unit = next.fetch_add(1)) < bound->units.size();) {
        if (options.cancelled != nullptr && *options.cancelled) stopped = true;
        if (stopped) return;
        for (const auto& selection : selections) selection->scan_unit(bound->units[unit]);
      }
      for (size_t i = 0; i < ask.targets.size(); ++i) {
        if (ask.targets[i].collect) std::sort(parts[worker].found[i].begin(), parts[worker].found[i].end());
      }
    });
    if (stopped) return cancelled();
    for (const BoundScan::Unit& unit : bound->units) profile.bytes_scanned += unit_bytes(*bound, unit);
    profile.scan_us += us_since(begin);
    const auto merging = Clock::now();
    for (uint32_t worker = 1; worker < workers; ++worker) {
      if (Status merged = parts[0].merge(ask, std::move(parts[worker])); !merged) return merged.error();
    }
    profile.merge_us += us_since(merging);
    return std::move(parts[0]);
  }

 private:
  uint32_t workers(const ScanOptions& options, size_t units) const {
    const uint32_t most =
        options.threads == 0 ? threads_.count() : std::min(options.threads, threads_.count());
    return static_cast<uint32_t>(std::clamp<size_t>(units, 1, most));
  }

  // What one thread leaves.
  struct ThreadScan {
    std::vector<std::unique_ptr<ThreadSelection>> selections;
    std::unique_ptr<BlockShares> shares;
    ScanProfile profile;
  };

  // Those by groups, by all threads.
  void merge_groups(const BoundScan& bound, std::vector<ThreadScan>& scans, Partials& partials) {
    std::vector<std::unique_ptr<GroupMerge>> merges;
    std::vector<std::pair<GroupMerge*, size_t>> parts;
    for (uint32_t i = 0; i < scans[0].selections.size(); ++i) {
      merges.emplace_back();
      if (!scans[0].selections[i]->grouped()) continue;
      std::vector<ThreadSelection*> threads;
      for (const ThreadScan& scan : scans) threads.push_back(scan.selections[i].get());
      merges[i] = std::make_unique<GroupMerge>(bound, i, std::move(threads), scans.size());
      for (size_t part = 0; part < merges[i]->parts(); ++part) parts.emplace_back(merges[i].get(), part);
    }
    std::atomic<size_t> next{0};
    const auto workers = static_cast<uint32_t>(std::clamp<size_t>(parts.size(), 1, scans.size()));
    threads_.run(workers, [&](uint32_t) {
      for (size_t at; (at = next.fetch_add(1)) < parts.size();) parts[at].first->make(parts[at].second);
    });
    for (size_t i = 0; i < merges.size(); ++i) {
      if (merges[i]) partials.selections()[i] = merges[i]->take();
    }
  }

  void scan_units(const BoundScan& bound, uint32_t workers, const ScanOptions& options,
                  std::atomic<size_t>& next, std::atomic<bool>& stopped, ThreadScan& scan) {
    auto& [selections, shares, profile] = scan;
    shares = std::make_unique<BlockShares>(kernels_);
    for (uint32_t i = 0; i < bound.selections.size(); ++i) {
      selections.push_back(std::make_unique<ThreadSelection>(bound, kernels_, i));
    }
    for (const auto& selection : selections) selection->share(*shares);
    RangeSums ranges;
    std::vector<uint8_t> done;
    for (size_t at; (at = next.fetch_add(1)) < bound.units.size();) {
      if (options.cancelled != nullptr && *options.cancelled) stopped = true;
      if (stopped) return;
      const BoundScan::Unit& unit = bound.units[at];
      const uint32_t capacity = bound.inputs[unit.input].store->capacity(unit.tile);
      bool any = false;
      for (const auto& selection : selections) {
        selection->begin_unit(unit, workers);
        any = any || selection->active();
      }
      profile.rows += capacity;
      if (!any) {
        ++profile.tiles_skipped;
        continue;
      }
      profile.bytes_scanned += unit_bytes(bound, unit);
      ranges.scan_unit(bound, kernels_, unit, selections, done);
      for (size_t i = 0; i < selections.size(); ++i) {
        if (selections[i]->active() && !done[i]) done[i] = selections[i]->scan_whole(unit, capacity) ? 1 : 0;
      }
      for (uint32_t first = 0; first < capacity; first += kBlockRows) {
        const uint32_t rows = std::min<uint32_t>(kBlockRows, capacity - first);
        for (size_t i = 0; i < selections.size(); ++i) {
          if (selections[i]->active() && !done[i]) selections[i]->scan_block(unit, first, rows);
        }
        shares->finish_block(*bound.inputs[unit.input].store, unit.tile, first, rows);
      }
      for (const auto& selection : selections) selection->end_unit();
    }
    for (const auto& selection : selections) {
      if (selection->grouped()) selection->list_groups();
    }
  }

  const Kernels& kernels_;
  CpuThreads threads_;
};

}  // namespace

void ScanProfile::add(const ScanProfile& other) {
  upload_us += other.upload_us;
  scan_us += other.scan_us;
  download_us += other.download_us;
  merge_us += other.merge_us;
  bytes_scanned += other.bytes_scanned;
  rows += other.rows;
  tiles_skipped += other.tiles_skipped;
}

std::unique_ptr<Backend> make_cpu_backend(CpuOptions options) {
  return std::make_unique<CpuBackend>(options);
}

Result<Partials> run(Backend& backend, const Plan& plan, std::span<const PartitionInput> inputs,
                     const ScanOptions& options, ScanProfile& profile) {
  Result<Partials> partials = backend.scan(plan, inputs, options, profile);
  if (!partials) return partials;
  while (const std::optional<Refinement> ask = partials->refinement(plan)) {
    const Result<Refined> found = backend.refine(plan, *ask, inputs, options, profile);
    if (!found) return found.error();
    if (Status absorbed = partials->absorb(plan, *ask, *found); !absorbed) return absorbed.error();
  }
  return partials;
}

}  // namespace covey::agg
