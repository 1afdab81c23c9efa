#include <algorithm>
#include <atomic>
#include <deque>
#include <utility>

#include "storage/rocks_database.h"
#include "tests/sim/disk.h"
#include "tests/sim/failure.h"
#include "tests/sim/simulated_env.h"

namespace covey::sim {
namespace {

constexpr uint64_t syncs_for_tables = 40;   // so often what is in memory becomes tables
constexpr uint64_t changes_at_start = 120;  // about so many changes of files a start makes
constexpr uint64_t syncs_at_tables = 8;     // about so many files and names are synced for new tables

// The writes of one process: what it has counted up to, and which of RocksDB's numbers each ends with.
struct Writes {
  Lsn newest;
  Lsn synced;
  uint64_t synced_number = 0;
  std::deque<std::pair<Lsn, uint64_t>> unsynced;
};

class CountedStore final : public Store {
 public:
  CountedStore(Database& database, Durability durability, Writes& writes)
      : database_(database), inner_(database.shard()), durability_(durability), writes_(writes) {}

  Result<std::optional<std::string>, StoreError> get(Column column, std::string_view key) override {
    return inner_->get(column, key);
  }
  Result<Lsn, StoreError> write(const StoreBatch& batch) override {
    auto written = inner_->write(batch);
    if (!written) return written;
    writes_.newest = *written;
    writes_.unsynced.emplace_back(*written, database_.last_write());
    return written;
  }
  std::unique_ptr<StoreLoad> load() override { return inner_->load(); }
  // Tables are durable, with all before them; what is small is written as a batch, which a store that
  // promises nothing calls durable too.
  Result<Lsn, StoreError> write(const StoreBatch& batch, std::unique_ptr<StoreLoad> load) override {
    auto written = inner_->write(batch, std::move(load));
    if (!written) return written;
    writes_.newest = *written;
    writes_.unsynced.emplace_back(*written, database_.last_write());
    if (durability_ == Durability::none || inner_->durable() < *written) return written;
    writes_.synced = *written;
    writes_.synced_number = database_.last_write();
    writes_.unsynced.clear();
    return written;
  }
  Lsn durable() const override { return inner_->durable(); }
  std::unique_ptr<StoreCursor> cursor(Column column, std::string_view lower, std::string_view upper,
                                      const StoreSnapshot* snapshot = nullptr) override {
    return inner_->cursor(column, lower, upper, snapshot);
  }
  std::unique_ptr<StoreSnapshot> snapshot() override { return inner_->snapshot(); }

 private:
  Database& database_;
  std::unique_ptr<Store> inner_;
  const Durability durability_;
  Writes& writes_;
};

class RocksDisk final : public Disk {
 public:
  RocksDisk(Durability durability, std::shared_ptr<SimulatedFiles> files)
      : durability_(durability), files_(std::move(files)) {}
  ~RocksDisk() override { close(); }

  Store& store() override {
    open_or_fail();
    return *store_;
  }
  Lsn written() const override { return writes_.newest; }
  Lsn synced() const override { return writes_.synced; }

  void sync_to(Lsn) override {
    if (!database_ || has_ended_) return;
    if (files_->is_full()) (void)database_->recover();  // the server tries too, in vain
    if (!database_->sync()) return;
    writes_.synced = writes_.newest;
    writes_.synced_number = database_->last_write();
    writes_.unsynced.clear();
    if (++syncs_ % syncs_for_tables == 0 && !files_->is_full()) (void)database_->flush().ok();
  }

  Lsn crash(bool keeps_some, Random& random) override {
    const Loss loss = !keeps_some ? Loss::all : random.one_in(2) ? Loss::some : Loss::nothing;
    const Writes before = writes_;
    auto left = files_->after_crash(loss, random);
    close();
    files_ = std::move(left);
    while (random.one_in(3)) die_while_starting(random);
    open_or_fail();
    return what_is_left(before);
  }

  void close_in_order() override {
    if (!database_) return;
    const Writes before = writes_;
    store_.reset();
    require(database_->close().ok(), "RocksDB does not close");
    close();
    open_or_fail();
    require(what_is_left(before) == before.newest, "RocksDB lost writes in an orderly close");
  }

  std::unique_ptr<Disk> clone() override {
    Random unused(0);
    return std::make_unique<RocksDisk>(durability_, files_->after_crash(Loss::nothing, unused));
  }
  void fail_next_write(bool fails) override { files_->fail_next_log_append(fails); }
  void fail_next_sync(bool fails, Random& random) override {
    // Mostly that of the log; or one of those that make tables.
    const uint64_t after = random.one_in(2) ? 0 : random.below(syncs_at_tables);
    files_->fail_sync_after(fails ? std::optional(after) : std::nullopt);
  }
  void set_full(bool full) override {
    const bool has_space_again = files_->is_full() && !full;
    files_->set_full(full);
    if (has_space_again && database_ && !has_ended_) (void)database_->recover();
  }
  bool has_ended() const override { return has_ended_; }

  bool rot_table(Random& random) override {
    if (!flip_) flip_ = files_->flip_bit(".sst", *files_, random);
    return flip_.has_value();
  }
  bool has_met_damage() const override { return has_met_damage_; }
  void mend() override {
    if (flip_) files_->flip_back(*flip_);
    flip_.reset();
    has_met_damage_ = false;
  }

  std::optional<Lsn> rot(Random& random) override {
    static const std::vector<std::string> kinds = {".log", ".log", "MANIFEST", "CURRENT", "SYNCED"};
    open_or_fail();  // an older disk in its place has not been looked at
    const Writes before = writes_;
    auto left = files_->after_crash(Loss::nothing, random);
    left->flip_bit(random.pick(kinds), *files_, random);
    close();
    files_ = std::move(left);
    const bool full = files_->is_full();
    files_->set_full(false);
    const auto error = open();
    files_->set_full(full);
    if (error) return std::nullopt;
    return what_is_left(before);
  }

 private:
  std::optional<StoreError> open() {
    env_ = make_simulated_env(files_);
    has_ended_ = false;
    has_met_damage_ = false;
    writes_ = {};
    auto opened = Database::open({.path = "/db",
                                  .durability = durability_,
                                  .block_cache_bytes = 1 << 20,
                                  .write_buffer_bytes = 1 << 20,
                                  .load_memory_bytes = 2 << 10,
                                  .env = env_.get(),
                                  .deterministic = true,
                                  .on_failure = [this](const std::string&) { has_ended_ = true; },
                                  .on_damage = [this](const std::string&) { has_met_damage_ = true; }});
    if (!opened) return opened.error();
    database_ = std::move(*opened);
    store_ = std::make_unique<CountedStore>(*database_, durability_, writes_);
    writes_.synced_number = database_->last_write();
    return std::nullopt;
  }

  void open_or_fail() {
    if (database_) return;
    const bool full = files_->is_full();
    if (full) {
      auto error = open();
      require(!error || error->kind == StoreError::Kind::full,
              "a full disk's directory is refused: " + (error ? error->message : ""));
      close();
    }
    files_->set_full(false);  // who starts a node there makes some room
    if (auto error = open()) fail("a directory is refused: " + error->message);
    files_->set_full(full);
  }

  void close() {
    store_.reset();
    database_.reset();
  }

  void die_while_starting(Random& random) {
    const bool full = files_->is_full();
    files_->set_full(false);
    files_->stop_after(random.between(0, changes_at_start));
    auto error = open();
    require(!error || error->kind != StoreError::Kind::corruption,
            "a directory is refused: " + (error ? error->message : ""));
    auto left = files_->after_crash(random.one_in(2) ? Loss::nothing : Loss::some, random);
    close();
    files_ = std::move(left);
    files_->set_full(full);
  }

  // Of the writes of a process that is over, after the next start.
  Lsn what_is_left(const Writes& before) const {
    const uint64_t last = database_->last_write();
    require(last >= before.synced_number, "synced writes are lost: there are " + std::to_string(last) +
                                              " of " + std::to_string(before.synced_number));
    Lsn newest = before.synced;
    uint64_t end_of_newest = before.synced_number;
    for (const auto& [lsn, end] : before.unsynced) {
      if (end > last) break;
      newest = lsn;
      end_of_newest = end;
    }
    require(last == end_of_newest, "a part of a batch is left, or a write that was refused");
    return newest;
  }

  const Durability durability_;
  std::shared_ptr<SimulatedFiles> files_;
  std::unique_ptr<rocksdb::Env> env_;
  Writes writes_;
  uint64_t syncs_ = 0;
  std::atomic<bool> has_ended_{false};  // RocksDB's threads say so too
  std::atomic<bool> has_met_damage_{false};
  std::optional<SimulatedFiles::Flip> flip_;  // of a table, while it is there
  std::unique_ptr<Database> database_;
  std::unique_ptr<Store> store_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<Disk> make_rocks_disk(Durability durability) {
  return std::make_unique<RocksDisk>(durability, std::make_shared<SimulatedFiles>());
}

}  // namespace covey::sim
