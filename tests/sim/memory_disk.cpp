#include <utility>

#include "storage/memory_store.h"
#include "tests/sim/disk.h"

namespace covey::sim {
namespace {

class MemoryDisk final : public Disk {
 public:
  explicit MemoryDisk(std::unique_ptr<MemoryStore> store, Lsn synced)
      : store_(std::move(store)), synced_(synced) {}

  Store& store() override { return *store_; }
  Lsn written() const override { return store_->written(); }
  Lsn synced() const override { return synced_; }
  void sync_to(Lsn lsn) override {
    has_ended_ |= std::exchange(sync_fails_, false);
    if (has_ended_) return;
    store_->sync_to(lsn);
    synced_ = std::max(synced_, lsn);
  }
  Lsn crash(bool keeps_some, Random& random) override {
    const uint64_t unsynced = written().value - synced_.value;
    store_->crash(keeps_some && unsynced > 0 ? random.between(0, unsynced) : 0);
    synced_ = store_->written();
    has_ended_ = sync_fails_ = false;
    return synced_;
  }
  std::unique_ptr<Disk> clone() override { return std::make_unique<MemoryDisk>(store_->clone(), synced_); }
  void fail_next_write(bool fails) override {
    store_->fail_next_write(
        fails ? std::optional(StoreError{StoreError::Kind::io, "the simulated disk failed to write"})
              : std::nullopt);
  }
  void fail_next_sync(bool fails, Random&) override { sync_fails_ = fails; }
  bool has_ended() const override { return has_ended_; }
  void set_full(bool full) override { store_->set_full(full); }

 private:
  std::unique_ptr<MemoryStore> store_;
  Lsn synced_;
  bool sync_fails_ = false;
  bool has_ended_ = false;
};

}  // namespace

std::unique_ptr<Disk> make_memory_disk(Durability durability) {
  return std::make_unique<MemoryDisk>(std::make_unique<MemoryStore>(durability), Lsn{0});
}

}  // namespace covey::sim
