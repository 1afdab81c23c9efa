// What the disk and RocksDB alone give: the very batches that a core makes of the same puts, recorded once
// and written again with nothing around it. As many batches share one sync as there are requests under way.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <stdexcept>

#include "replication/core.h"
#include "replication/peer_messages.h"
#include "storage/memory_store.h"
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
  MemoryStore store_{::covey::Durability::none};
};

std::vector<StoreBatch> batches_of_puts(const Options& options, uint64_t count) {
  Recorder recorder;
  CoreOptions core_options;
  core_options.self.node = NodeId{"n1"};
  core_options.replicas = 1;
  core_options.wait_for_durable = false;
  Core core(core_options, recorder);
  Now now{1'000'000, 1'700'000'000'000};
  if (!core.start(now, {.fresh = true}, {}))
    throw std::runtime_error("the core that makes the batches does not start");
  for (int i = 0; i < 200; ++i) {  // until its partitions are its own
    now.tick_us += 10'000;
    now.wall_ms += 10;
    core.tick(now);
    core.drain();
  }
  recorder.batches.clear();
  Random random(1);
  for (uint64_t i = 0; i < count; ++i) {
    Request request;
    request.operation = ::covey::Operation::put;
    request.table = CoveyCluster::table;
    request.conflicts = Conflicts::last_write_wins;
    request.level = *parse_level("1", 1);
    request.key = key_text(random.below(options.keys));
    request.value = value_text(random, options.value_bytes);
    core.request(now, RequestId{i + 1}, std::move(request));
    const Output output = core.drain();
    if (output.answers.size() != 1 || output.answers[0].response.status != Status::ok) {
      throw std::runtime_error("the core that makes the batches refused a put");
    }
    now.tick_us += 20;
    if (i % 50 == 0) ++now.wall_ms;
  }
  return std::move(recorder.batches);
}

double thread_cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

class StorageSide final : public Side {
 public:
  StorageSide(const Options& options, Durability durability, const std::filesystem::path& directory)
      : options_(options), durability_(durability), batches_(batches_of_puts(options, 20'000)) {
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

  Sample measure(const Question& question) override {
    const uint64_t together = uint64_t{options_.connections} * question.pipeline;
    uint64_t count = 0;
    client::Histogram latency_ns;
    const double cpu_before = thread_cpu_seconds();
    const auto begin = Clock::now();
    const auto end =
        begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
    auto last_sync = begin;
    auto now = begin;
    while (now < end) {
      for (uint64_t i = 0; i < together; ++i) write(batches_[count++ % batches_.size()]);
      const bool due =
          durability_ == Durability::interval && Clock::now() - last_sync >= std::chrono::seconds(1);
      if (durability_ == Durability::sync || due) {
        check(db_->SyncWAL());
        last_sync = Clock::now();
      }
      const auto after = Clock::now();
      const auto ns = static_cast<uint64_t>(std::chrono::nanoseconds(after - now).count());
      for (uint64_t i = 0; i < together; ++i) latency_ns.record(ns);
      now = after;
    }
    const auto us = [&](double percent) {
      return static_cast<double>(latency_ns.percentile(percent)) / 1000;
    };
    const double seconds = std::chrono::duration<double>(now - begin).count();
    const double cpu_us = (thread_cpu_seconds() - cpu_before) * 1e6 / static_cast<double>(count);
    return {static_cast<double>(count) / seconds, us(50), us(90), us(99), us(99.9), cpu_us, 0, {}};
  }

 private:
  static void check(const rocksdb::Status& status) {
    if (!status.ok()) throw std::runtime_error("RocksDB alone: " + status.ToString());
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
  std::vector<StoreBatch> batches_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> columns_;
};

}  // namespace

std::unique_ptr<Side> storage_side(const Options& options, Durability durability,
                                   const std::filesystem::path& directory) {
  return std::make_unique<StorageSide>(options, durability, directory);
}

}  // namespace covey::bench
