// One shard's disk in the simulator: a store, what of it would survive a crash, and its faults.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "replication/store.h"
#include "storage/durability.h"
#include "tests/sim/random.h"

namespace covey::sim {

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Store& store() = 0;
  virtual Lsn written() const = 0;
  virtual Lsn synced() const = 0;     // what a crash of the machine can't take
  virtual void sync_to(Lsn lsn) = 0;  // at least
  // Keeps what is synced and, if it keeps some, maybe the oldest of the other writes. The answer is the
  // newest that is left. From then on a store counts anew, as that of a new process does.
  virtual Lsn crash(bool keeps_some, Random& random) = 0;
  virtual void close_in_order() {}  // after a sync of everything; then as after a crash
  virtual std::unique_ptr<Disk> clone() = 0;
  virtual void fail_next_write(bool fails) = 0;
  virtual void fail_next_sync(bool fails, Random& random) = 0;
  virtual void set_full(bool full) = 0;
  // A process with this disk has to end: the store cannot go on.
  virtual bool has_ended() const { return false; }
  // The process dies, and a bit of what was synced flips. The newest write that is left, which is not older
  // than what was synced; nullopt: the next start has noticed it, and the disk is of no use any more.
  virtual std::optional<Lsn> rot(Random&) { return written(); }
  // A bit of a table flips while the process runs. False: this disk has no tables. mend() flips it back.
  virtual bool rot_table(Random&) { return false; }
  virtual bool has_met_damage() const { return false; }
  virtual void mend() {}
};

std::unique_ptr<Disk> make_memory_disk(Durability durability);
// RocksDB itself, and all that storage/ does around it, on simulated files.
std::unique_ptr<Disk> make_rocks_disk(Durability durability);

}  // namespace covey::sim
