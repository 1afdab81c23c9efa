// One thread that makes the writes of all shards durable: while one sync runs the next writes gather, and
// share the next.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace covey {

// Thread-safe. Each shard has a Progress; its own thread counts `written` up, the sync thread `durable`.
class GroupCommit {
 public:
  struct Progress {
    std::atomic<uint64_t> written{0};
    std::atomic<uint64_t> durable{0};
    std::function<void()> on_durable;
  };
  struct Actions {
    // Makes all that was written before the call durable. False: that failed, and nothing becomes durable any
    // more.
    std::function<bool()> sync;
    // Tries to end a state in which writes are refused. True: it has ended.
    std::function<bool()> recover;
  };

  // interval_ms: at least so long between the ends of two syncs; 0: at once. Without a thread sync_now() does
  // it all.
  GroupCommit(Actions actions, uint32_t interval_ms, bool with_thread);
  ~GroupCommit();  // stops the thread; what is not durable then stays so

  // on_durable is called after `durable` has grown, or by tell(), on another thread and holding a lock: it
  // only posts a message.
  std::shared_ptr<Progress> add(std::function<void()> on_durable);
  void remove(const std::shared_ptr<Progress>& progress);  // its on_durable is not called any more
  // count: the shard's writes up to now; objects: in the last of them, each somebody's who waits.
  void wrote(Progress& progress, uint64_t count, uint64_t objects);
  // As after a sync: these writes have become durable in another way.
  void made_durable(Progress& progress, uint64_t count);
  void tell(Progress& progress);  // there is something else to look at
  void recover_soon();            // once a second until it succeeds
  bool sync_now();                // in the calling thread; false: failed
  uint64_t syncs() const { return syncs_.load(std::memory_order_relaxed); }

 private:
  void run();
  void wake();
  void sync_group();

  const Actions actions_;
  const uint32_t interval_ms_;

  std::mutex sync_mutex_;  // one sync at a time; taken before shards_mutex_
  bool failed_ = false;    // under sync_mutex_

  std::mutex shards_mutex_;
  std::vector<std::shared_ptr<Progress>> shards_;

  std::mutex wake_mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;    // under wake_mutex_
  bool recovering_ = false;  // under wake_mutex_
  std::atomic<bool> sync_requested_{false};

  // For the sync thread alone: see sync_group().
  uint64_t covered_ = 0;  // objects that had been written when the last sync began
  std::chrono::nanoseconds gather_time_{0};
  // Shared with the writers.
  std::atomic<uint64_t> all_written_{0};   // by all shards
  std::atomic<uint64_t> gather_until_{0};  // that many have been made: sync at once
  std::atomic<bool> gathering_{false};     // the sync thread waits for that

  std::atomic<uint64_t> syncs_{0};
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace covey
