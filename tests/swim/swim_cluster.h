// A group of failure detectors alone, under a virtual clock: messages that are lost or late, nodes that end,
// return, hang or are slow. Everything follows from the seed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <vector>

#include "replication/failure_detector.h"

namespace covey::swim {

struct ClusterOptions {
  size_t nodes = 5;
  uint64_t seed = 1;
  uint64_t loss_ppm = 0;
  uint64_t delay_min_us = 200;
  uint64_t delay_max_us = 2'000;
  DetectorOptions detector;
};

// A node that is slow to look at messages: it looks at none for a while, then at all, again and again. Its
// timers run on. (The anomaly that Lifeguard was made for.)
struct Slowness {
  uint64_t deaf_us = 0;
  uint64_t hears_us = 0;
};

struct Counts {
  uint64_t messages = 0;
  uint64_t bytes = 0;               // with frames, as a node's links carry them
  uint64_t false_suspicions = 0;    // verdicts of live nodes about nodes that run
  uint64_t false_deaths = 0;        // likewise
  uint64_t healthy_suspicions = 0;  // of those that are not slow; each incarnation counts once
  uint64_t healthy_deaths = 0;      // likewise
};

class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options);

  uint64_t now_us() const { return now_us_; }
  size_t size() const { return nodes_.size(); }
  static NodeId name(size_t node) { return {"n" + std::to_string(node + 1)}; }
  FailureDetector& detector(size_t node) { return *nodes_[node].detector; }

  void run_for(uint64_t us);
  // False: the limit came first.
  bool run_until(const std::function<bool()>& done, uint64_t limit_us);

  void kill(size_t node);
  void restart(size_t node);            // the others' connections to it are made again
  void hang(size_t node, uint64_t us);  // it neither runs nor looks at messages
  void set_slow(size_t node, Slowness slowness);
  // Nothing passes between the two sides. Empty: everything does.
  void cut(std::vector<size_t> one_side);
  // Connections to a dead node break at once, as a process's do and a machine's do not.
  void break_connections(size_t node);

  Health seen(size_t by, size_t node) { return detector(by).of(name(node)).health; }
  // How many of the live others hold this of it.
  size_t holding(size_t node, Health health);
  bool all_hold(size_t node, Health health);
  bool all_alive_and_equal();

  Counts counts;
  std::function<void(size_t by, const Verdict& verdict)> on_verdict;

 private:
  struct Node {
    std::unique_ptr<FailureDetector> detector;
    uint64_t starts = 0;
    bool up = true;
    bool other_side = false;
    uint64_t hangs_until_us = 0;
    uint64_t deaf_until_us = 0;
    Slowness slowness;
    std::vector<std::pair<size_t, peer::Detection>> waiting;
    uint64_t suspected_incarnation = UINT64_MAX, dead_incarnation = UINT64_MAX;  // that was counted
  };
  struct Arrival {
    uint64_t at_us;
    uint64_t number;
    size_t from, to;
    std::shared_ptr<peer::Detection> message;
    bool operator>(const Arrival& other) const {
      return at_us != other.at_us ? at_us > other.at_us : number > other.number;
    }
  };

  void start(size_t node);
  void tick_all();
  void hear(size_t node);
  void perform(size_t node);
  void judge(size_t by, const Verdict& verdict);
  bool hangs(const Node& node) const { return now_us_ < node.hangs_until_us; }
  void handle(size_t from, size_t to, const peer::Detection& message);

  ClusterOptions options_;
  Random random_;
  std::vector<Node> nodes_;
  std::priority_queue<Arrival, std::vector<Arrival>, std::greater<>> arrivals_;
  uint64_t arrivals_seen_ = 0;
  uint64_t now_us_ = 1'000'000;
  uint64_t next_tick_us_ = 1'000'000;
};

}  // namespace covey::swim
