// Seeds with a shape of their own: what chance alone brings too seldom.
#include <algorithm>

#include "tests/sim/generator.h"
#include "tests/sim/text.h"

namespace covey::sim {

// All nodes of the beginning, in any order.
std::vector<std::string> Generator::shuffled_nodes(Random& random) const {
  std::vector<std::string> out;
  for (uint64_t i = 1; i <= setup_.nodes(); ++i) out.push_back(name(i));
  for (size_t i = out.size(); i > 1; --i) std::swap(out[i - 1], out[random.below(i)]);
  return out;
}

// When the faults that were drawn before are over and the replicas equal.
uint64_t Generator::calm_us() {
  constexpr uint64_t longest_fault_us = 6'000'000;
  at(end_us_ + longest_fault_us, "heal");
  for (uint64_t i = 1; i <= setup_.nodes(); ++i) at(end_us_ + longest_fault_us, "restart " + name(i));
  return end_us_ + longest_fault_us + 3'000'000;
}

// A life ends of whose writes others got only the last, and its node stays away for long: the others must
// not take the earlier ones for nobody's.
void Generator::draw_absence() {
  Random apart(options_.seed + apart_absence);
  if (!options_.faults.contains("crash") || setup_.nodes() < 3 || !apart.one_in(20)) return;
  // Mostly the one whose word is asked for last.
  const uint64_t absent = apart.one_in(4) ? apart.between(1, setup_.nodes()) : setup_.nodes();
  std::string others;
  for (uint64_t i = 1; i <= setup_.nodes(); ++i) {
    at(end_us_, "restart " + name(i));
    if (i != absent) others += " " + name(i);
  }
  at(end_us_, "heal");
  uint64_t t = end_us_ + 2'000'000;
  size_t number = 0;
  const auto write = [&] {
    at(t, "put " + name(absent) + " k" + std::to_string(apart.between(1, keys_)) + " x" +
              std::to_string(++number) + " w=one timeout=200ms &");
    t += apart.between(1'000, 10'000);
  };
  at(t, "partition " + name(absent) + " |" + others);
  for (int i = 0; i < 8; ++i) write();
  at(t += 200'000, "heal");
  t += apart.between(60'000, 200'000);
  for (int i = 0; i < 8; ++i) write();
  at(t += apart.between(5'000, 50'000), "crash " + name(absent) + " keeps-some");
  at(t += 20'000, "restart " + name(absent));
  at(t += apart.between(60'000, 300'000), "crash " + name(absent) + " keeps-some");
  at(t += 25'000'000, "check");
}

// Members come and go. Beside the nodes that the seed has, up to three that join.
void Generator::draw_membership() {
  Random apart(options_.seed + apart_members);
  const auto first = setup_.nodes();
  if (!options_.faults.contains("membership") || first < 2 || !apart.one_in(4)) return;
  const auto joining = std::min<uint64_t>(apart.between(0, 3), nodes_max - first);
  moves_ = true;
  setup_.members = first;
  for (uint64_t i = 1; i <= joining; ++i) {
    setup_.shards.push_back(apart.one_in(4) ? 2 : 1);
    at(apart.between(0, end_us_), "join n" + std::to_string(first + i));
  }
  for (uint64_t i = apart.between(joining == 0 ? 1 : 0, 3); i > 0; --i) {
    const std::string who = "n" + std::to_string(apart.between(1, first + joining));
    at(apart.between(end_us_ / 4, end_us_), (apart.one_in(3) ? "remove " : "leave ") + who);
  }
}

// A partition moves to a node that one of its owners can't talk to. Just before these two meet, which makes
// the new one ready, the others write what reaches neither of them.
void Generator::draw_unseen_writes() {
  Random apart(options_.seed + apart_moving);
  const bool fits = setup_.nodes() == 3 && setup_.replicas == 3 && !moves_;
  if (!options_.faults.contains("membership") || !fits || !apart.one_in(6)) return;
  moves_ = true;
  setup_.members = 3;
  const std::vector<std::string> old = shuffled_nodes(apart);  // the first is the one that is cut off
  const std::string joins = "n4";
  uint64_t t = calm_us();
  const auto both = [&](const std::string& verb, const std::string& tail) {
    at(t, verb + " " + old[0] + " " + joins + tail);
    at(t, verb + " " + joins + " " + old[0] + tail);
  };
  setup_.shards.push_back(1);
  both("cut", " silent");
  at(t, "join " + joins);
  t += apart.between(3'000'000, 6'000'000);
  for (const std::string& from : {old[1], old[2]}) {
    for (const std::string& to : {old[0], joins}) at(t, "cut " + from + " " + to + " silent");
  }
  for (uint64_t k = 1; k <= keys_; ++k) {
    at(t += apart.between(1'000, 10'000), "put " + old[1] + " k" + std::to_string(k) + " u" +
                                              std::to_string(k) + " w=quorum strict timeout=500ms &");
  }
  t += 200'000;
  both("mend", "");
  for (int i = 0; i < 40; ++i) {
    at(t += apart.between(10'000, 90'000), "get " + (apart.one_in(2) ? joins : old[0]) + " k" +
                                               std::to_string(apart.between(1, keys_)) +
                                               " r=quorum strict timeout=200ms &");
  }
  at(t, "heal");
}

// A whole transfer breaks off in its middle, and what it had passed is written again before it goes on.
void Generator::draw_interrupted_transfer() {
  Random apart(options_.seed + apart_interrupted);
  if (!options_.faults.contains("disk") || !transfers_ || moves_ || setup_.nodes() < 3 || apart.one_in(4))
    return;
  const std::vector<std::string> order = shuffled_nodes(apart);  // the first lacks something
  std::string line = "partition " + order[0] + " |";
  for (size_t i = 1; i < order.size(); ++i) line += " " + order[i];
  line += " silent";
  uint64_t t = calm_us();
  uint64_t number = 0;
  std::vector<std::string> keys;
  for (uint64_t k = 1; k <= keys_; ++k) keys.push_back("k" + std::to_string(k));
  std::sort(keys.begin(), keys.end());  // as a transfer goes through them
  const auto write = [&](const std::string& node, size_t first) {
    for (size_t i = first; i < keys.size(); ++i) {
      at(t += apart.between(1'000, 10'000),
         "put " + node + " " + keys[i] + " y" + std::to_string(++number) + " w=one timeout=200ms &");
    }
  };
  write(order[1], 0);
  t += 500'000;
  if (apart.one_in(2)) {  // a disk
    at(t, "wipe " + order[0]);
    at(t += 50'000, "restart " + order[0]);
  } else {  // more than the logs keep
    at(t, line);
    for (size_t i = 0; i < 3; ++i) write(order[1 + i % (order.size() - 1)], 0);
    at(t += 500'000, "heal");
  }
  at(t, "received " + order[0] + " " + std::to_string(apart.between(1, keys_)) + " within=4s");
  at(t, line);
  write(order[1], 0);
  // Short logs then keep nothing of what it has passed: the transfer alone tells of that.
  for (int i = 0; i < 2; ++i) write(order[1], keys.size() / 2);
  at(t += apart.between(5'000'000, 7'000'000), "heal");
  at(t += 10'000'000, "check");
}

// An operator has copies compared object by object, also while faults strike.
void Generator::draw_repairs() {
  Random apart(options_.seed + apart_repairs);
  if (setup_.nodes() < 2 || !apart.one_in(3)) return;
  for (uint64_t i = apart.between(1, 6); i > 0; --i)
    at(apart.between(0, end_us_), "repair n" + std::to_string(apart.between(1, setup_.nodes())));
}

}  // namespace covey::sim
