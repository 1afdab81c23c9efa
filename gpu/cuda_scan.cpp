#include "gpu/cuda_scan.h"

#include <algorithm>
#include <chrono>

#include "gpu/cpu_mask.h"
#include "gpu/cpu_scan.h"

namespace covey::agg::cuda {

namespace {

using Clock = std::chrono::steady_clock;
double us_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

}  // namespace

Error device_out_of_memory() {
  return Error{ErrorCode::kOutOfMemory, "the device's memory does not hold what this question needs", ""};
}

Error settle(Workplace& place, const Error& error) {
  if (error.code == ErrorCode::kDeviceFailed) return error;
  const Status waited = place.device.wait();
  return waited ? error : waited.error();
}

ProgramLimits DeviceScan::limits() const {
  const DeviceInfo& info = place_.device.info();
  return {info.blocks, info.shared_bytes, place_.memory.total() / 2};
}

Result<DeviceBlock> DeviceScan::take(uint64_t bytes) {
  std::byte* const at = place_.tiles.take(std::max<uint64_t>(bytes, 16));
  if (at == nullptr) return device_out_of_memory();
  return DeviceBlock(place_.memory, at);
}

Status DeviceScan::prepare(Program& program, ScanJob& job) {
  const auto begin = Clock::now();
  place_.tiles.begin();
  Result<DeviceBlock> results = take(program.results_bytes());
  if (!results) return results.error();
  results_ = std::move(*results);
  Result<DeviceBlock> scratch = take(program.scratch_bytes());
  if (!scratch) return scratch.error();
  scratch_ = std::move(*scratch);
  // Written twice: addresses depend on the size.
  Parameters sized(results_.at());
  program.write(sized, results_.at(), scratch_.at(), job);
  Result<DeviceBlock> block = take(sized.bytes().size());
  if (!block) return block.error();
  parameters_ = std::move(*block);
  Parameters parameters(parameters_.at());
  program.write(parameters, results_.at(), scratch_.at(), job);
  if (Status sent =
          place_.memory.upload(parameters_.at(), parameters.bytes().data(), parameters.bytes().size());
      !sent)
    return sent;
  if (Status cleared = place_.device.clear(results_.at(), program.results_bytes()); !cleared) return cleared;
  if (Status cleared = place_.device.clear(scratch_.at(), program.scratch_bytes()); !cleared) return cleared;
  // Room for the tables of all row groups, before tiles take it.
  const uint64_t units = std::max<size_t>(1, bound_.units.size());
  const uint64_t columns = std::max<size_t>(1, bound_.plan->columns().size());
  Result<DeviceBlock> tables = take(
      units * (sizeof(Unit) + columns * sizeof(Column) + std::max<size_t>(1, program.selections.size())) +
      64);
  if (!tables) return tables.error();
  tables_ = std::move(*tables);
  profile_.upload_us += us_since(begin);
  return Done{};
}

Result<bool> DeviceScan::gather_unit(Program& program, const BoundScan::Unit& unit) {
  const BoundInput& input = bound_.inputs[unit.input];
  const ColumnStore& store = *input.store;
  Unit at;
  at.capacity = store.capacity(unit.tile);
  at.input = unit.input;
  at.flags = store.live_rows(unit.tile) == at.capacity ? kUnitFull : 0u;
  at.first_word = static_cast<uint32_t>(uint64_t{unit.tile} * store.tile_rows() / 32);
  uint64_t uploaded = 0;
  Result<TileCache::Got> live = place_.tiles.live(store, unit.tile, uploaded);
  if (!live) return live.error();
  if (live->bits == nullptr) return false;
  at.live = reinterpret_cast<const uint32_t*>(live->bits);
  if (program.excluded(unit.input) != nullptr) at.excluded = program.excluded(unit.input) + at.first_word;
  const size_t columns = columns_.size();
  for (const uint32_t index : bound_.plan->columns()) {
    Column& column = columns_.emplace_back();
    const Tile* tile = store.tile(index, unit.tile);
    if (tile == nullptr) continue;
    Result<TileCache::Got> got = place_.tiles.tile(store, index, unit.tile, uploaded);
    if (!got) return got.error();
    if (got->values == nullptr) {
      columns_.resize(columns);
      return false;
    }
    column.values = reinterpret_cast<const uint64_t*>(got->values);
    column.valid = reinterpret_cast<const uint32_t*>(got->bits);
    column.flags =
        (tile->zone.count == at.capacity ? kColumnFull : 0u) | (tile->zone.has_special ? kColumnSpecial : 0u);
  }
  for (const uint32_t selection : program.plan_selections) {
    const UnitFilter filter = filter_unit(bound_, selection, unit);
    passes_.push_back(filter.skipped ? kPassSkip : filter.conditions.empty() ? kPassAll : kPassTest);
  }
  units_.push_back(at);
  capacity_ = std::max(capacity_, at.capacity);
  return true;
}

Result<size_t> DeviceScan::gather_units(Program& program, size_t begin) {
  place_.tiles.begin();
  units_.clear();
  columns_.clear();
  passes_.clear();
  capacity_ = 0;
  size_t end = begin;
  for (; end < bound_.units.size(); ++end) {
    if (options_.cancelled != nullptr && *options_.cancelled)
      return Error{ErrorCode::kCancelled, "the aggregation was cancelled or ran out of time", ""};
    const Result<bool> got = gather_unit(program, bound_.units[end]);
    if (!got) return got.error();
    if (!*got) break;
  }
  if (end == begin) return device_out_of_memory();
  return end;
}

Status DeviceScan::send_units(ScanJob& job) {
  std::byte* at = tables_.at();
  const auto send = [&](const auto& values, auto& into) -> Status {
    using T = typename std::decay_t<decltype(values)>::value_type;
    into = reinterpret_cast<const T*>(at);
    const uint64_t bytes = values.size() * sizeof(T);
    Status sent = place_.memory.upload(at, values.data(), bytes);
    at += (bytes + 15) / 16 * 16;
    return sent;
  };
  if (Status sent = send(units_, job.units); !sent) return sent;
  if (Status sent = send(columns_, job.columns); !sent) return sent;
  return send(passes_, job.passes);
}

Status DeviceScan::each_turn(Program& program, ScanJob& job, const std::function<Status()>& launch) {
  for (size_t begin = 0; begin < bound_.units.size();) {
    if (held_begin_ != begin || held_end_ == begin) {
      const auto started = Clock::now();
      // What runs still reads the tables and the tiles that may leave.
      if (Status waited = place_.device.wait(); !waited) return waited;
      held_end_ = begin;
      const Result<size_t> end = gather_units(program, begin);
      if (!end) return end.error();
      if (Status sent = send_units(job); !sent) return sent;
      held_begin_ = begin;
      held_end_ = *end;
      profile_.upload_us += us_since(started);
    }
    const auto started = Clock::now();
    job.chunks_a_unit = std::max(1u, (capacity_ + kChunkRows - 1) / kChunkRows);
    if (Status launched = launch(); !launched) return launched;
    profile_.scan_us += us_since(started);
    begin = held_end_;
  }
  return Done{};
}

Status DeviceScan::each_part(ScanJob& job, uint64_t rows_max, const std::function<Status(uint32_t)>& launch) {
  const auto chunks = static_cast<uint32_t>(units_.size()) * job.chunks_a_unit;
  const auto most = static_cast<uint32_t>(std::max<uint64_t>(1, rows_max / kChunkRows));
  for (uint32_t begin = 0; begin < chunks; begin += most) {
    if (options_.cancelled != nullptr && *options_.cancelled)
      return Error{ErrorCode::kCancelled, "the aggregation was cancelled or ran out of time", ""};
    job.chunks_begin = begin;
    job.chunks_end = std::min(chunks, begin + most);
    if (Status launched = launch(std::min(place_.device.info().blocks, job.chunks_end - begin)); !launched)
      return launched;
  }
  return Done{};
}

Status DeviceScan::carry(Program& program) {
  for (const Selection& selection : program.selections) {
    const uint64_t words = selection.groups * selection.width;
    if (selection.tier != Tier::kGlobal || words == 0) continue;
    const CarryJob job{selection.words, selection.result, selection.greatest, selection.groups,
                       selection.width};
    const auto blocks =
        static_cast<uint32_t>(std::min<uint64_t>(place_.device.info().blocks, words / kThreads + 1));
    if (Status launched = place_.device.launch(Kernel::kCarry, blocks, 0, &job); !launched) return launched;
  }
  return Done{};
}

Status DeviceScan::launch_scan(Program& program, ScanJob& job) {
  bool one = job.round == Round::kMain && program.is_one_shape();
  for (uint32_t input = 0; input < bound_.inputs.size(); ++input)
    one = one && program.excluded(input) == nullptr;
  // Words in the device's memory take all blocks' rows, others one block's.
  const bool global = job.round != Round::kGroups && program.has_global_words();
  const uint64_t rows = place_.rows_a_word * (global ? 1 : place_.device.info().blocks);
  return each_part(job, rows, [&](uint32_t blocks) -> Status {
    const Kernel kernel = one ? Kernel::kOne : Kernel::kScan;
    if (Status launched = place_.device.launch(kernel, blocks, job.shared_bytes, &job); !launched)
      return launched;
    return global ? carry(program) : Status(Done{});
  });
}

Status DeviceScan::round(Program& program, ScanJob& job, Round round) {
  job.round = round;
  if (Status done = each_turn(program, job, [&] { return launch_scan(program, job); }); !done) return done;
  const auto begin = Clock::now();
  Status waited = place_.device.wait();
  profile_.scan_us += us_since(begin);
  return waited;
}

Result<HashedTables> DeviceScan::enter_groups() {
  Result<Program> program = Program::make_groups(bound_, limits());
  if (!program) return program.error();
  if (program->selections.empty()) return HashedTables{};
  ScanJob job;
  if (Status done = prepare(*program, job); !done) return done.error();
  if (Status done = round(*program, job, Round::kGroups); !done) return done.error();
  return read_tables(*this, *program);
}

Status DeviceScan::download(const std::byte* from, uint64_t bytes, std::vector<uint64_t>& into) {
  const auto begin = Clock::now();
  into.resize((bytes + 7) / 8);
  Status done = place_.memory.download(into.data(), from, bytes);
  profile_.download_us += us_since(begin);
  return done;
}

}  // namespace covey::agg::cuda
