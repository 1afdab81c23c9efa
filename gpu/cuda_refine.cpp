// A further round of exact quantiles on the device.
#include <algorithm>
#include <unordered_map>

#include "gpu/cuda_scan.h"

namespace covey::agg::cuda {

namespace {

// Rows that changed since the last round may bring more values than were announced: no more than this are
// kept.
uint32_t room_of(const QuantileTarget& target) {
  return static_cast<uint32_t>(std::min(4 * kCollectMax, 2 * target.count + 64));
}

class RefineScan {
 public:
  RefineScan(Workplace& place, const BoundScan& bound, const Refinement& ask, const ScanOptions& options,
             ScanProfile& profile)
      : place_(place),
        bound_(bound),
        ask_(ask),
        groups_(place, bound, options, profile),
        scan_(place, bound, options, profile) {}

  Result<Refined> run() {
    const Result<HashedTables> tables = groups_.enter_groups();
    if (!tables) return tables.error();
    Result<Program> program = Program::make_for_refinement(bound_, *tables, scan_.limits());
    if (!program) return program.error();
    if (Status done = scan_.prepare(*program, job_.scan); !done) return done.error();
    if (Status done = prepare_targets(*program); !done) return done.error();
    if (Status done = launch(*program); !done) return done.error();
    if (Status checked = check_tables(scan_, *program); !checked) return checked.error();
    return collect();
  }

 private:
  Status prepare_targets(const Program& program) {
    const size_t count = ask_.targets.size();
    std::vector<uint64_t> places(count);
    uint64_t bytes = (count * 4 + 15) / 16 * 16;  // how many keys each target met, first
    for (size_t i = 0; i < count; ++i) {
      places[i] = bytes;
      bytes += (ask_.targets[i].collect ? uint64_t{room_of(ask_.targets[i])} : kRefineBins) * 8;
    }
    if (bytes > place_.memory.total() / 4)
      return Error{ErrorCode::kNotForDevice, "values of " + std::to_string(count) + " quantiles and groups",
                   ""};
    Result<DeviceBlock> found = scan_.take(bytes);
    if (!found) return found.error();
    found_ = std::move(*found);
    if (Status cleared = place_.device.clear(found_.at(), bytes); !cleared) return cleared;
    found_bytes_ = bytes;
    std::vector<Target> targets(count);
    for (size_t i = 0; i < count; ++i) {
      const QuantileTarget& from = ask_.targets[i];
      targets[i].lo = from.lo;
      targets[i].hi = from.hi;
      targets[i].found = reinterpret_cast<uint64_t*>(found_.at() + places[i]);
      targets[i].shift = target_shift(from);
      if (!from.collect) continue;
      targets[i].used = reinterpret_cast<uint32_t*>(found_.at()) + i;
      targets[i].capacity = room_of(from);
    }
    return send(program, targets);
  }

  // For each measure that has targets, which ones each group has.
  Status send(const Program& program, const std::vector<Target>& targets) {
    std::vector<RefineMeasure> measures;
    std::vector<std::vector<uint32_t>> ranges;
    for (size_t begin = 0, end = 0; begin < ask_.targets.size(); begin = end) {
      const uint32_t measure = ask_.targets[begin].measure;
      while (end < ask_.targets.size() && ask_.targets[end].measure == measure) ++end;
      const covey::agg::Measure& asked = bound_.plan->measures()[measure];
      const auto at =
          std::find(program.plan_selections.begin(), program.plan_selections.end(), asked.selection);
      if (at == program.plan_selections.end() || bound_.not_ready[asked.column]) continue;
      RefineMeasure& into = measures.emplace_back();
      into.selection = static_cast<uint32_t>(at - program.plan_selections.begin());
      into.column = program.column_of(asked.column);
      into.flip = asked.type == ColumnType::kFloat64 ? kFlipFloat : kFlipInt;
      ranges.push_back(ranges_of(program, into.selection, begin, end));
    }
    const auto write = [&](Parameters& parameters) {
      for (size_t i = 0; i < measures.size(); ++i) measures[i].ranges = parameters.put(ranges[i]);
      job_.measures = parameters.put(measures);
      job_.targets = parameters.put(targets);
    };
    job_.measures_count = static_cast<uint32_t>(measures.size());
    Parameters sized(found_.at());
    write(sized);
    Result<DeviceBlock> block = scan_.take(sized.bytes().size());
    if (!block) return block.error();
    block_ = std::move(*block);
    Parameters parameters(block_.at());
    write(parameters);
    return place_.memory.upload(block_.at(), parameters.bytes().data(), parameters.bytes().size());
  }

  // First and one past the last target of each group's number.
  std::vector<uint32_t> ranges_of(const Program& program, uint32_t selection, size_t begin, size_t end) {
    std::vector<uint32_t> ranges(program.selections[selection].groups * 2);
    std::unordered_map<std::string, uint32_t> numbers;
    each_group(program, selection, [&](uint32_t group, const auto& key) { numbers.emplace(key(), group); });
    for (size_t i = begin; i < end; ++i) {
      const auto number = numbers.find(ask_.targets[i].group);
      if (number == numbers.end()) continue;
      uint32_t* const range = &ranges[number->second * size_t{2}];
      if (range[1] == 0) range[0] = static_cast<uint32_t>(i);
      range[1] = static_cast<uint32_t>(i + 1);
    }
    return ranges;
  }

  Status launch(Program& program) {
    job_.scan.round = Round::kMain;
    return scan_.each_turn(program, job_.scan, [&] {
      return scan_.each_part(job_.scan, UINT64_MAX, [&](uint32_t blocks) {
        return place_.device.launch(Kernel::kRefine, blocks, 0, &job_);
      });
    });
  }

  Result<Refined> collect() {
    std::vector<uint64_t> found;
    if (Status got = scan_.download(found_.at(), found_bytes_, found); !got) return got.error();
    Refined refined(ask_);
    const auto* const used = reinterpret_cast<const uint32_t*>(found.data());
    uint64_t at = (ask_.targets.size() * 4 + 15) / 16 * 2;
    for (size_t i = 0; i < ask_.targets.size(); ++i) {
      const bool keys = ask_.targets[i].collect;
      const uint64_t room = keys ? room_of(ask_.targets[i]) : kRefineBins;
      const uint64_t count = keys ? std::min<uint64_t>(used[i], room) : room;
      refined.found[i].assign(found.begin() + static_cast<ptrdiff_t>(at),
                              found.begin() + static_cast<ptrdiff_t>(at + count));
      if (keys) std::sort(refined.found[i].begin(), refined.found[i].end());
      at += room;
    }
    return refined;
  }

  Workplace& place_;
  const BoundScan& bound_;
  const Refinement& ask_;
  DeviceScan groups_, scan_;
  RefineJob job_;
  DeviceBlock found_, block_;
  uint64_t found_bytes_ = 0;
};

}  // namespace

Result<Refined> refine_on_device(Workplace& place, const BoundScan& bound, const Refinement& ask,
                                 const ScanOptions& options, ScanProfile& profile) {
  RefineScan scan(place, bound, ask, options, profile);
  Result<Refined> found = scan.run();
  if (!found) return settle(place, found.error());
  return found;
}

}  // namespace covey::agg::cuda
