// One pass on the device: its blocks of memory, the row groups in as many turns as fit, the launches.
#pragma once

#include <functional>

#include "gpu/cuda_compile.h"
#include "gpu/cuda_memory.h"
#include "gpu/cuda_tiles.h"
#include "gpu/partials.h"

namespace covey::agg::cuda {

// What a back end has for its whole life.
struct Workplace {
  Device& device;
  DeviceMemory& memory;
  TileCache& tiles;
  uint64_t rows_a_word;
};

class DeviceScan {
 public:
  DeviceScan(Workplace& place, const BoundScan& bound, const ScanOptions& options, ScanProfile& profile)
      : place_(place), bound_(bound), options_(options), profile_(profile) {}

  // Enters groups that are not dense, if there are any. The tables stay on the device as long as this does.
  Result<HashedTables> enter_groups();
  ProgramLimits limits() const;
  // A block of the arena; kOutOfMemory.
  Result<DeviceBlock> take(uint64_t bytes);
  // Takes results, scratch and parameters and fills the job but for its units.
  Status prepare(Program& program, ScanJob& job);
  // Calls `launch` for all row groups, in turns whose tiles fit the arena together; the job's units and
  // chunks are those of the turn.
  Status each_turn(Program& program, ScanJob& job, const std::function<Status()>& launch);
  // Launches for at most so many rows at a time.
  Status each_part(ScanJob& job, uint64_t rows_max, const std::function<Status(uint32_t blocks)>& launch);
  // One round of the scan kernel over all row groups.
  Status round(Program& program, ScanJob& job, Round round);
  Status download(const std::byte* from, uint64_t bytes, std::vector<uint64_t>& into);
  std::byte* results() const { return results_.at(); }

 private:
  Status launch_scan(Program& program, ScanJob& job);
  Status carry(Program& program);
  // The row groups from `begin` on whose tiles fit; none: not even one does.
  Result<size_t> gather_units(Program& program, size_t begin);
  Result<bool> gather_unit(Program& program, const BoundScan::Unit& unit);
  Status send_units(ScanJob& job);

  Workplace& place_;
  const BoundScan& bound_;
  const ScanOptions& options_;
  ScanProfile& profile_;
  DeviceBlock results_, scratch_, parameters_, tables_;
  // Of the turn.
  std::vector<Unit> units_;
  std::vector<Column> columns_;
  std::vector<uint8_t> passes_;
  uint32_t capacity_ = 0;                 // the largest
  size_t held_begin_ = 0, held_end_ = 0;  // row groups whose tables are on the device
};

// What the words and counts on the device mean: partials' states, the same bits as the CPU's.
Result<std::vector<SelectionState>> read_states(DeviceScan& scan, const Program& program);
// The number of each group that the selection may have, and a function that makes its key.
void each_group(const Program& program, size_t selection,
                const std::function<void(uint32_t, const std::function<std::string()>&)>& action);
// What the round kGroups has entered. kNotForDevice: too many for it.
Result<HashedTables> read_tables(DeviceScan& scan, const Program& program);
// kNotForDevice: a later round met two keys with one hash.
Status check_tables(DeviceScan& scan, const Program& program);
Result<Refined> refine_on_device(Workplace& place, const BoundScan& bound, const Refinement& ask,
                                 const ScanOptions& options, ScanProfile& profile);

Error device_out_of_memory();
// What runs on after an error is waited for before memory that it uses is given back; unless it was the
// device's. The first error, or that of waiting.
Error settle(Workplace& place, const Error& error);

}  // namespace covey::agg::cuda
