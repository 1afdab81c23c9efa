// One shard's disk in the simulator: a store, what of it would survive a crash, and its faults.
#pragma once

#include <cstdint>
#include <memory>

#include "replication/store.h"
#include "storage/durability.h"

namespace covey::sim {

class Disk {
 public:
  virtual ~Disk() = default;
  virtual Store& store() = 0;
  virtual Lsn written() const = 0;
  virtual Lsn synced() const = 0;  // what a crash of the machine can't take
  virtual void sync_to(Lsn lsn) = 0;
  // Keeps what is synced and the oldest `survivors` of the other writes.
  virtual void crash(uint64_t survivors) = 0;
  virtual std::unique_ptr<Disk> clone() = 0;
  virtual void fail_next_write(bool fails) = 0;
  virtual void set_full(bool full) = 0;
};

std::unique_ptr<Disk> make_memory_disk(Durability durability);

}  // namespace covey::sim
