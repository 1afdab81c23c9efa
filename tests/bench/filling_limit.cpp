// What RocksDB alone needs for filling a copy: one thread reads every record by an iterator, another writes
// them to tables, which a fresh database then takes in.
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <sys/resource.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "replication/codec.h"
#include "storage/rocks_database.h"
#include "tests/bench/filling.h"

namespace covey::bench {
namespace {

constexpr size_t run_bytes = 256 << 10;
constexpr size_t runs_waiting_max = 8;
constexpr uint64_t table_bytes_max = 64 << 20;

void check(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error("RocksDB alone: " + status.ToString());
}

// Runs of records from one thread to another. An empty one is the last.
class Runs {
 public:
  void push(std::string run) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return runs_.size() < runs_waiting_max; });
    runs_.push_back(std::move(run));
    changed_.notify_all();
  }
  std::string pop() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !runs_.empty(); });
    std::string run = std::move(runs_.front());
    runs_.pop_front();
    changed_.notify_all();
    return run;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> runs_;
};

// Tables as covey's are set up: large blocks, a filter, fast compression.
rocksdb::Options table_options() {
  rocksdb::BlockBasedTableOptions table;
  table.block_size = 16 << 10;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::Options options;
  options.create_if_missing = true;
  options.compression = rocksdb::kLZ4Compression;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// As the node that it belongs to opens it: RocksDB's own read-only way ends in an assertion.
class Source {
 public:
  explicit Source(const std::string& path) {
    auto opened = Database::open({.path = path, .durability = Durability::none});
    check(opened);
    database_ = std::move(*opened);
    store_ = database_->shard();
  }
  void read(Runs& runs) {
    const auto snapshot = store_->snapshot();
    const auto cursor = store_->cursor(Column::objects, "", "", snapshot.get());
    std::string run;
    for (; cursor->valid(); cursor->next()) {
      Writer out(run);
      out.bytes(cursor->key());
      out.bytes(cursor->value());
      if (run.size() >= run_bytes) runs.push(std::exchange(run, {}));
    }
    if (auto error = cursor->error()) throw std::runtime_error("RocksDB alone: " + error->message);
    if (!run.empty()) runs.push(std::move(run));
    runs.push({});
  }
  void close() {
    store_.reset();
    check(database_->close());
  }

 private:
  template <class Result>
  static void check(const Result& result) {
    if (!result.ok()) throw std::runtime_error("RocksDB alone: " + result.error().message);
  }
  std::unique_ptr<Database> database_;
  std::unique_ptr<Store> store_;
};

void write(Runs& runs, const std::filesystem::path& directory) {
  const rocksdb::Options options = table_options();
  rocksdb::DB* opened = nullptr;
  check(rocksdb::DB::Open(options, (directory / "alone").string(), &opened));
  const std::unique_ptr<rocksdb::DB> db(opened);
  std::vector<std::string> tables;
  std::unique_ptr<rocksdb::SstFileWriter> writer;
  for (std::string run = runs.pop(); !run.empty(); run = runs.pop()) {
    if (writer && writer->FileSize() >= table_bytes_max) {
      check(writer->Finish());
      writer.reset();
    }
    if (!writer) {
      tables.push_back((directory / ("alone-" + std::to_string(tables.size()))).string());
      writer = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(options), options);
      check(writer->Open(tables.back()));
    }
    for (Reader in(run); !in.done();) {
      const std::string_view key = in.bytes();
      check(writer->Put(rocksdb::Slice(key), rocksdb::Slice(in.bytes())));
    }
  }
  if (writer) check(writer->Finish());
  rocksdb::IngestExternalFileOptions ingestion;
  ingestion.move_files = true;
  check(db->IngestExternalFile(tables, ingestion));
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

EngineAlone fill_by_engine_alone(const std::filesystem::path& source,
                                 const std::filesystem::path& directory) {
  EngineAlone out;
  Source objects(source.string());
  Runs runs;
  const double cpu_before = cpu_seconds();
  const auto begin = std::chrono::steady_clock::now();
  // A failure of either ends the program by its exception: there is nothing to go on with.
  std::thread reader([&] { objects.read(runs); });
  write(runs, directory);
  reader.join();
  out.seconds = seconds_since(begin);
  out.cpu_seconds = cpu_seconds() - cpu_before;
  objects.close();
  std::filesystem::remove_all(directory / "alone");
  return out;
}

}  // namespace covey::bench
