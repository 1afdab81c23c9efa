// The one thread that owns the columns: it alternates between changes that the shards tell, scans and other
// work that is asked of it, and the loading of columns from stored objects. A scan may take long: nobody
// waits for it but who asked. Changes wait in one lane a shard; a lane that has reached its limit while the
// thread is busy is thrown away, and that shard's columns are loaded again from the stored objects. Writers
// never wait.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "gpu/engine.h"
#include "server/checkpointer.h"
#include "server/column_set.h"

namespace covey::server {

struct AggregatorOptions {
  ColumnSetOptions columns;
  uint64_t lane_bytes_max = uint64_t{64} << 20;  // of one shard's changes that wait
  size_t tasks_max = 1024;                       // that wait, and as many passes; one more is refused
  uint32_t threads = 0;                          // of a scan; 0: as many as there are cores
  // Where columns are kept over a restart, and how often; no interval: nowhere.
  std::string checkpoint_folder;
  double checkpoint_interval_us = 0;
  agg::CudaOptions gpu;
};

struct Pass;  // server/aggregate_pass.h

class Aggregator {
 public:
  // What a task is given: the columns as of all changes told so far, and how long it has waited.
  struct Turn {
    ColumnSet& columns;
    agg::Engine& engine;
    double queue_us = 0;   // until its turn came
    double apply_us = 0;   // of changes before it
    uint64_t wall_ms = 0;  // what had expired then does not count
  };
  using Task = std::function<void(Turn& turn)>;

  // What a shard is asked for, on this thread: to mark what it has told, and to begin a new file of changes.
  struct Shards {
    std::function<void(uint32_t shard, uint64_t number)> mark;
    std::function<void(uint32_t shard, uint64_t number)> mark_file;
  };
  // `reader` is for this thread alone.
  Aggregator(AggregatorOptions options, std::unique_ptr<Store> reader, Shards shards);
  ~Aggregator();  // as stop(), without keeping anything

  // For one shard; nullptr: nothing is kept. Any thread.
  std::unique_ptr<ChangeSink> journal();

  // Any thread.
  void push(uint32_t shard, std::vector<ColumnEvent>&& events);
  // false: too many wait, or it is stopping.
  [[nodiscard]] bool submit(Task task);
  // Likewise; those that wait when a turn begins are run together, behind the tasks.
  [[nodiscard]] bool submit(Pass pass);
  // Ends the thread; questions that wait are dropped. `keep`: what has been told is taken in first and kept
  // on disk, as far as that is done within a few seconds. REQUIRES then: no shard tells anything any more.
  void stop(bool keep);

  struct Counts {
    ColumnSet::Counts columns;
    agg::EngineCounters engine;
    uint64_t lanes_lost = 0, changes = 0;
    uint64_t waiting_bytes = 0;
    Checkpointer::Counts kept;
  };
  Counts counts() const;  // any thread; of a moment ago

 private:
  struct Lane {
    std::vector<ColumnEvent> events;
    uint64_t bytes = 0;
    bool lost = false;
  };
  struct Waiting {
    Task task;
    double since_us = 0;
  };

  void run();
  void take_changes(std::vector<Lane>& lanes);
  void perform(Waiting& waiting, double apply_us);
  agg::Engine& engine();
  void publish();

  void keep_all();

  const AggregatorOptions options_;
  std::unique_ptr<Checkpointer> checkpointer_;       // nullptr: nothing is kept
  ColumnSet columns_;                                // the thread's
  std::unique_ptr<Store> reader_;                    // the thread's
  std::unique_ptr<agg::Engine> engine_;              // the thread's; made when it is needed first
  bool retirement_told_ = false;                     // the thread's: of the GPU
  uint64_t evictions_told_ = 0, refusals_told_ = 0;  // the thread's
  bool unpublished_ = false;                         // the thread's
  double published_us_ = 0;                          // the thread's

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Lane> lanes_;  // guarded by mutex_, as all that follows
  std::deque<Waiting> tasks_;
  std::vector<Pass> passes_;
  Counts counts_;
  bool stopping_ = false;
  bool keeping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

double steady_us();  // microseconds of a clock that only goes forward

}  // namespace covey::server
