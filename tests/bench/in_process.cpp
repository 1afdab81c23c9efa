// What is below the network, in this process. RocksDB alone: the very batches that a core makes of the same
// puts, recorded once and written again with nothing around them. The write path: such a core with its own
// storage. In both as many puts are one batch, and share one sync, as there are requests under way.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <map>
#include <semaphore>
#include <stdexcept>

#include "replication/core.h"
#include "replication/peer_messages.h"
#include "storage/memory_store.h"
#include "storage/rocks_database.h"
#include "tests/bench/sides.h"

namespace covey::bench {
namespace {

using Clock = std::chrono::steady_clock;

// A store in memory that keeps a copy of every batch.
class Recorder final : public Store {
 public:
  Result<std::optional<std::string>, StoreError> get(Column column, std::string_view key) override {
    return store_.get(column, key);
  }
  Result<Lsn, StoreError> write(const StoreBatch& batch) override {
    batches.push_back(batch);
    return store_.write(batch);
  }
  std::unique_ptr<StoreLoad> load() override { return store_.load(); }
  Result<Lsn, StoreError> write(const StoreBatch& batch, std::unique_ptr<StoreLoad> load) override {
    return store_.write(batch, std::move(load));
  }
  Lsn durable() const override { return store_.durable(); }
  std::unique_ptr<StoreCursor> cursor(Column column, std::string_view lower, std::string_view upper,
                                      const StoreSnapshot* snapshot) override {
    return store_.cursor(column, lower, upper, snapshot);
  }
  std::unique_ptr<StoreSnapshot> snapshot() override { return store_.snapshot(); }

  std::vector<StoreBatch> batches;

 private:
  MemoryStore store_{Durability::none};
};

constexpr uint64_t puts_recorded = 200'000;  // they are written again and again

// A core with one replica of everything, and the puts that it is given.
class Writer {
 public:
  Writer(const Options& options, Store& store, bool wait_for_durable)
      : core_(core_options(wait_for_durable), store) {
    if (!core_.start(now(), {.fresh = true}, {})) throw std::runtime_error("the core does not start");
    Random random(1);
    for (uint64_t i = 0; i < puts_recorded; ++i) {
      std::string key = key_text(random.below(options.keys));
      puts_.emplace_back(std::move(key), value_text(random, options.value_bytes));
    }
    // Until its partitions are its own.
    for (int i = 0; i < 200; ++i) {
      skipped_us_ += 10'000;
      core_.tick(now());
      core_.drain();
    }
  }

  // So many puts as one batch; returns how many were answered at once.
  uint64_t put(uint64_t count) {
    const Now time = now();
    if (time.tick_us - ticked_us_ >= 10'000) {
      ticked_us_ = time.tick_us;
      core_.tick(time);
    }
    for (uint64_t i = 0; i < count; ++i) {
      const auto& [key, value] = puts_[next_ % puts_.size()];
      Request request;
      request.operation = ::covey::Operation::put;
      request.table = CoveyCluster::table;
      request.conflicts = Conflicts::last_write_wins;
      request.level = *parse_level("1", 1);
      request.key = key;
      request.value = value;
      core_.request(time, RequestId{++next_}, std::move(request));
    }
    return answered();
  }
  // After the store's durable() has risen; returns how many are answered by it.
  uint64_t durable() {
    core_.durable(now());
    return answered();
  }

 private:
  static CoreOptions core_options(bool wait_for_durable) {
    CoreOptions options;
    options.self.node = NodeId{"n1"};
    options.replicas = 1;
    options.wait_for_durable = wait_for_durable;
    return options;
  }
  Now now() const {
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin_).count();
    const uint64_t tick_us = 1'000'000 + skipped_us_ + static_cast<uint64_t>(us);
    return {tick_us, 1'700'000'000'000 + tick_us / 1000};
  }
  uint64_t answered() {
    const Output output = core_.drain();
    for (const auto& answer : output.answers) {
      if (answer.response.status != Status::ok) throw std::runtime_error("the core refused a put");
    }
    return output.answers.size();
  }

  const Clock::time_point begin_ = Clock::now();
  uint64_t skipped_us_ = 0;
  uint64_t ticked_us_ = 0;
  uint64_t next_ = 0;
  std::vector<std::pair<std::string, std::string>> puts_;
  Core core_;
};

using Batches = std::vector<StoreBatch>;

// What the core writes for each so many puts that come together; it makes several batches of very many.
std::vector<Batches> batches_of_puts(const Options& options, uint64_t together) {
  Recorder recorder;
  Writer writer(options, recorder, false);
  std::vector<Batches> out;
  for (uint64_t i = 0; i < puts_recorded; i += together) {
    recorder.batches.clear();
    writer.put(together);
    out.push_back(std::move(recorder.batches));
  }
  return out;
}

double thread_cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Calls write_together(count) for the time that is asked for.
template <class WriteTogether>
Sample measure_in_process(const Options& options, const Question& question,
                          const WriteTogether& write_together) {
  const uint64_t together = uint64_t{options.connections} * question.pipeline;
  uint64_t count = 0;
  client::Histogram latency_ns;
  const double cpu_before = thread_cpu_seconds();
  const auto begin = Clock::now();
  const auto end =
      begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.seconds));
  auto now = begin;
  while (now < end) {
    write_together(together);
    count += together;
    const auto after = Clock::now();
    const auto ns = static_cast<uint64_t>(std::chrono::nanoseconds(after - now).count());
    for (uint64_t i = 0; i < together; ++i) latency_ns.record(ns);
    now = after;
  }
  const auto us = [&](double percent) { return static_cast<double>(latency_ns.percentile(percent)) / 1000; };
  const double seconds = std::chrono::duration<double>(now - begin).count();
  const double cpu_us = (thread_cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(count);
  return {static_cast<double>(count) / seconds, us(50), us(90), us(99), us(99.9), cpu_us, 0, {}};
}

class WritePathSide final : public Side {
 public:
  WritePathSide(const Options& options, Durability durability, const std::filesystem::path& directory)
      : options_(options) {
    DatabaseOptions database;
    database.path = (directory / "write-path").string();
    database.durability = durability;
    database.object_cache_bytes = 256ull << 20;  // a node's default
    auto opened = Database::open(std::move(database));
    if (!opened) throw std::runtime_error("the write path: " + opened.error().message);
    database_ = std::move(*opened);
    store_ = database_->shard([this] { grown_.release(); });
    writer_ = std::make_unique<Writer>(options, *store_, durability == Durability::sync);
  }
  ~WritePathSide() override {
    writer_.reset();
    store_.reset();
  }
  std::string name(const Question&) const override { return "the write path alone"; }
  bool answers(const Question& question) const override { return question.operation == Operation::put; }
  void fill() override {
    for (uint64_t i = 0; i < puts_recorded; i += 100) put(100);
  }
  Sample measure(const Question& question) override {
    return measure_in_process(options_, question, [this](uint64_t together) { put(together); });
  }

 private:
  void put(uint64_t count) {
    for (uint64_t answered = writer_->put(count); answered < count;) {
      grown_.acquire();
      answered += writer_->durable();
    }
  }

  const Options& options_;
  std::counting_semaphore<> grown_{0};
  std::unique_ptr<Database> database_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Writer> writer_;
};

class StorageSide final : public Side {
 public:
  StorageSide(const Options& options, Durability durability, const std::filesystem::path& directory)
      : options_(options), durability_(durability) {
    rocksdb::Options rocks;
    rocks.create_if_missing = true;
    rocksdb::DB* db = nullptr;
    check(rocksdb::DB::Open(rocks, (directory / "rocksdb-alone").string(), &db));
    db_.reset(db);
    for (int i = 0; i < column_count; ++i) {
      rocksdb::ColumnFamilyHandle* handle = nullptr;
      check(db_->CreateColumnFamily(rocksdb::ColumnFamilyOptions(), "column" + std::to_string(i), &handle));
      columns_.push_back(handle);
    }
  }
  ~StorageSide() override {
    for (auto* column : columns_) db_->DestroyColumnFamilyHandle(column);
  }

  std::string name(const Question&) const override { return "RocksDB alone"; }
  bool answers(const Question& question) const override { return question.operation == Operation::put; }

  void fill() override {
    for (const Batches& batches : batches_of_puts(options_, 100)) write(batches);
  }
  Sample measure(const Question& question) override {
    const uint64_t together = uint64_t{options_.connections} * question.pipeline;
    auto [recorded, is_new] = batches_.try_emplace(together);
    if (is_new) recorded->second = batches_of_puts(options_, together);
    const auto& batches = recorded->second;
    auto last_sync = Clock::now();
    return measure_in_process(options_, question, [&](uint64_t) {
      write(batches[next_++ % batches.size()]);
      const bool due =
          durability_ == Durability::interval && Clock::now() - last_sync >= std::chrono::seconds(1);
      if (durability_ == Durability::sync || due) {
        check(db_->SyncWAL());
        last_sync = Clock::now();
      }
    });
  }

 private:
  static void check(const rocksdb::Status& status) {
    if (!status.ok()) throw std::runtime_error("RocksDB alone: " + status.ToString());
  }

  void write(const Batches& batches) {
    for (const StoreBatch& batch : batches) write(batch);
  }
  void write(const StoreBatch& batch) {
    rocksdb::WriteBatch out;
    for (const auto& operation : batch.operations()) {
      auto* column = columns_[static_cast<size_t>(operation.column)];
      if (operation.value) {
        check(out.Put(column, operation.key, *operation.value));
      } else if (operation.range_end.empty()) {
        check(out.Delete(column, operation.key));
      } else {
        check(out.DeleteRange(column, operation.key, operation.range_end));
      }
    }
    check(db_->Write({}, &out));
  }

  const Options& options_;
  Durability durability_;
  std::map<uint64_t, std::vector<Batches>> batches_;  // by how many puts come together
  uint64_t next_ = 0;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> columns_;
};

}  // namespace

void add_in_process_sides(const Options& options, Durability durability,
                          const std::filesystem::path& directory, std::vector<std::unique_ptr<Side>>& sides) {
  sides.push_back(std::make_unique<WritePathSide>(options, durability, directory));
  sides.push_back(std::make_unique<StorageSide>(options, durability, directory));
}

}  // namespace covey::bench
