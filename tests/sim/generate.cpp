#include "tests/sim/generate.h"

#include <algorithm>

#include "tests/sim/random.h"
#include "tests/sim/setup.h"

namespace covey::sim {
namespace {

// What is drawn apart changes nothing else of a seed.
constexpr uint64_t apart_tables = 0x7ab1e5ull << 32;
constexpr uint64_t apart_room = 0x5ace00ull << 32;
constexpr uint64_t apart_transfers = 0x7fe4ull << 32;
constexpr uint64_t apart_stand_ins = 0x57a4d1ull << 32;
constexpr uint64_t apart_absence = 0xab5e4ceull << 32;
constexpr uint64_t apart_repairs = 0x4e9a145ull << 32;
constexpr uint64_t apart_types = 0x7e9e5ull << 32;
constexpr uint64_t apart_members = 0x3e3be45ull << 32;

class Generator {
 public:
  explicit Generator(const GenerateOptions& options) : options_(options), random_(options.seed * 2 + 1) {}

  std::vector<std::string> all() {
    draw_setup();
    draw_network();
    end_us_ = options_.time_us.value_or(random_.between(4'000'000, 15'000'000));
    draw_clients();
    for (const char* kind : {"partition", "network", "crash", "disk", "clock"}) {
      if (options_.faults.contains(kind) && random_.one_in(2)) draw_faults(kind);
    }
    draw_table_damage();
    draw_absence();
    draw_membership();
    draw_repairs();
    draw_changes();
    return assembled();
  }

 private:
  struct Timed {
    uint64_t at_us;
    size_t order;
    std::string line;
  };

  void at(uint64_t at_us, std::string line) { timed_.push_back({at_us, timed_.size(), std::move(line)}); }
  std::string node() { return "n" + std::to_string(random_.between(1, setup_.nodes())); }

  void draw_setup() {
    setup_.seed = options_.seed;
    static const std::vector<uint32_t> sizes = {1, 2, 3, 3, 3, 3, 3, 3, 4, 4, 5, 5, 5, 6, 7, 9};
    uint32_t nodes =
        random_.one_in(40) ? static_cast<uint32_t>(random_.between(10, nodes_max)) : random_.pick(sizes);
    nodes = std::clamp<uint32_t>(options_.nodes.value_or(nodes), 1, nodes_max);
    setup_.shards.clear();
    bool two = random_.one_in(4);
    for (uint32_t i = 0; i < nodes; ++i) setup_.shards.push_back(two && random_.one_in(2) ? 2 : 1);
    setup_.replicas = random_.one_in(6) ? static_cast<uint32_t>(random_.between(1, 5)) : 3;
    setup_.replicas =
        std::min(setup_.replicas, nodes);  // with fewer nodes a cluster is not complete, and never ready
    setup_.partitions = random_.pick(std::vector<uint32_t>{2, 4, 4, 8});
    setup_.durability =
        random_.one_in(6) ? (random_.one_in(2) ? Durability::interval : Durability::none) : Durability::sync;
    // Drawn apart, so that it changes nothing else of a seed.
    setup_.rocksdb = Random(options_.seed).one_in(20);
    Random pass(~options_.seed);
    if (pass.one_in(2)) setup_.pass_us = pass.pick(std::vector<uint64_t>{200, 1'000, 5'000, 20'000});
    if (random_.one_in(8)) setup_.siblings_max = static_cast<uint32_t>(random_.between(2, 6));
    if (random_.one_in(4)) setup_.log_entries_max = random_.between(4, 40);
    if (random_.one_in(4)) setup_.message_bytes_max = static_cast<uint32_t>(random_.between(200, 4000));
    setup_.gossip_interval_us = random_.pick(std::vector<uint64_t>{100'000, 200'000, 200'000, 500'000});
    keys_ = random_.between(1, 6);
    Random stand_ins(options_.seed + apart_stand_ins);
    if (stand_ins.one_in(6))
      setup_.stand_in_bytes_max = stand_ins.pick(std::vector<uint64_t>{0, 20, 100, 1'000});
    // Many keys in few partitions, small messages and a short log: whole transfers of many chunks.
    Random apart(options_.seed + apart_transfers);
    if (!apart.one_in(12)) return;
    keys_ = apart.between(10, 25);
    setup_.partitions = 2;
    setup_.message_bytes_max = static_cast<uint32_t>(apart.between(200, 600));
    setup_.log_entries_max = apart.between(4, 12);
    if (apart.one_in(2))
      setup_.transfer_bytes_per_second = apart.pick(std::vector<uint64_t>{1'000, 4'000, 20'000});
  }

  void draw_network() {
    std::string line = "network delay=200us.." +
                       duration_text(random_.pick(std::vector<uint64_t>{1'000, 5'000, 30'000, 100'000}));
    line += " sync=100us.." + duration_text(random_.pick(std::vector<uint64_t>{1'000, 5'000, 50'000}));
    if (options_.faults.contains("network")) {
      auto maybe = [&](const char* name, uint64_t most_ppm) {
        if (random_.one_in(3))
          line += std::string(" ") + name + "=" + percent_text(random_.between(most_ppm / 20, most_ppm));
      };
      maybe("loss", 100'000);
      maybe("duplicate", 100'000);
      maybe("corrupt", 4'000);
      maybe("garbage", 20'000);
      maybe("replay", 30'000);
      if (random_.one_in(3)) line += " unordered";
      Random apart(options_.seed + apart_room);
      if (apart.one_in(5))
        line += " room=" + std::to_string(apart.pick(std::vector<uint64_t>{300, 1'000, 4'000, 16'000}));
    }
    at(0, line);
  }

  // Levels: each seed leans to some, so that strict quorums, weak ones and sloppy ones all have dense runs.
  std::string level() {
    static const std::vector<std::string> all = {"one", "quorum", "all"};
    if (random_.one_in(10))
      return std::to_string(random_.between(1, std::min(setup_.replicas, setup_.nodes())));
    return lean_ < 3 && !random_.one_in(4) ? all[lean_] : random_.pick(all);
  }

  std::string context_for(const std::string& key) {
    auto& names = contexts_[std::stoul(key.substr(1)) % contexts_.size()];
    if (names.empty() || random_.one_in(6)) return "";
    if (random_.one_in(50)) return " context=forged";
    if (random_.one_in(50)) {
      const auto& others = contexts_[random_.below(contexts_.size())];
      if (!others.empty()) return " context=" + random_.pick(others);
    }
    size_t back = std::min<size_t>(random_.one_in(5) ? names.size() - 1 : 2, names.size() - 1);
    return " context=" + names[names.size() - 1 - random_.between(0, back)];
  }

  void draw_clients() {
    lean_ = random_.below(4);
    strict_share_ = random_.pick(std::vector<uint64_t>{0, 500'000, 900'000, 1'000'000});
    uint64_t gap = random_.pick(std::vector<uint64_t>{10'000, 30'000, 60'000, 150'000});
    uint64_t writes = random_.between(3, 8);
    bool expiry = random_.one_in(4);
    bool scans = random_.one_in(4);
    contexts_.resize(7);
    size_t number = 0;
    for (uint64_t t = random_.between(0, 1'500'000); t < end_us_; t += random_.between(1, gap * 2)) {
      ++number;
      std::string key = "k" + std::to_string(random_.between(1, keys_));
      // Odd keys in one table, even ones in the other, and sometimes the same key in both.
      bool latest = (key.back() - '0') % 2 == 0 ? !random_.one_in(8) : random_.one_in(8);
      std::string tail = latest ? " table=latest" : "";
      if (random_.chance_ppm(strict_share_)) tail += " strict";
      tail += " timeout=" + duration_text(random_.pick(std::vector<uint64_t>{200'000, 500'000, 1'000'000}));
      if (random_.one_in(30)) tail += " reply-lost";
      std::string name = "c" + std::to_string(number);
      if (scans && random_.one_in(12)) {
        at(t, "scan " + node() + " " + std::to_string(random_.below(setup_.partitions)) + " r=" + level() +
                  tail + " limit=" + std::to_string(random_.between(1, 4)) + " &");
        continue;
      }
      if (random_.below(10) >= writes) {
        at(t, "get " + node() + " " + key + " r=" + level() + " as=" + name + tail + " &");
      } else if (random_.one_in(4)) {
        at(t,
           "delete " + node() + " " + key + " w=" + level() + context_for(key) + " as=" + name + tail + " &");
      } else {
        if (expiry && random_.one_in(3)) tail += " ttl=" + duration_text(random_.between(50, 3'000) * 1'000);
        if (random_.one_in(40)) tail += " if-absent";
        at(t, "put " + node() + " " + key + " v" + std::to_string(number) + " w=" + level() +
                  context_for(key) + " as=" + name + tail + " &");
      }
      contexts_[std::stoul(key.substr(1)) % contexts_.size()].push_back(name);
    }
  }

  uint64_t soon(uint64_t t, uint64_t most_us) { return t + random_.between(1'000, most_us); }

  void draw_faults(const std::string& kind) {
    uint64_t gap = random_.pick(std::vector<uint64_t>{300'000, 1'000'000, 3'000'000});
    for (uint64_t t = random_.between(0, gap * 2); t < end_us_; t += random_.between(gap / 10, gap * 2)) {
      if (kind == "partition")
        draw_partition(t);
      else if (kind == "network")
        draw_link_fault(t);
      else if (kind == "crash")
        draw_crash(t);
      else if (kind == "disk")
        draw_disk_fault(t);
      else
        draw_clock_fault(t);
    }
  }

  void draw_partition(uint64_t t) {
    std::string line = "partition";
    uint64_t groups = random_.between(2, 3);
    std::vector<std::string> members(groups);
    for (uint32_t i = 1; i <= setup_.nodes(); ++i) members[random_.below(groups)] += " n" + std::to_string(i);
    for (uint64_t group = 0; group < groups; ++group) line += (group > 0 ? " |" : "") + members[group];
    if (random_.one_in(2)) line += " silent";
    at(t, line);
    at(soon(t, random_.pick(std::vector<uint64_t>{100'000, 2'000'000, 5'000'000})), "heal");
  }

  void draw_link_fault(uint64_t t) {
    std::string a = node(), b = node();
    if (a == b) return;
    switch (random_.below(4)) {
      case 0:  // one way
        at(t, "cut " + a + " " + b + (random_.one_in(2) ? " silent" : ""));
        at(soon(t, 3'000'000), "mend " + a + " " + b);
        break;
      case 1:  // flapping
        for (uint64_t i = 0; i < 4; ++i) {
          at(t + i * 200'000, "cut " + a + " " + b);
          at(t + i * 200'000 + 100'000, "mend " + a + " " + b);
        }
        break;
      case 2:
        at(t, "reset " + a + " " + b);
        break;
      default:
        at(t, "slow-link " + a + " " + b + " " + duration_text(random_.between(50, 1500) * 1000));
        at(soon(t, 3'000'000), "slow-link " + a + " " + b + " 0us");
    }
  }

  void draw_crash(uint64_t t) {
    std::string who = node();
    switch (random_.below(7)) {
      case 0:
        at(t, "pause " + who);
        at(soon(t, 4'000'000), "resume " + who);
        break;
      case 1:
        at(t, "stop " + who);
        at(soon(t, 1'000'000), "restart " + who);
        break;
      case 2:  // a restart loop
        for (uint64_t i = 0; i < 4; ++i) {
          at(t + i * 150'000, "crash " + who);
          at(t + i * 150'000 + random_.between(1'000, 140'000), "restart " + who);
        }
        break;
      case 3:
        at(t, "slow " + who + " " + duration_text(random_.between(5, 400) * 1000));
        at(soon(t, 2'000'000), "slow " + who + " 0us");
        break;
      default:
        at(t, "crash " + who + (random_.one_in(2) ? " keeps-some" : ""));
        at(soon(t, random_.pick(std::vector<uint64_t>{50'000, 1'000'000, 5'000'000})), "restart " + who);
    }
  }

  void draw_disk_fault(uint64_t t) {
    std::string who = node();
    uint64_t later = soon(t, 2'000'000);
    if (setup_.rocksdb && random_.one_in(5)) {
      at(t, "disk " + who + " rots");
      at(soon(t, 1'000'000), "restart " + who);
      return;
    }
    switch (random_.below(7)) {
      case 0:
        at(t, "disk " + who + " fails");
        break;
      case 1:
        at(t, "disk " + who + " full");
        at(later, "disk " + who + " space");
        break;
      case 2:
        at(t, "disk " + who + " stalls");
        at(later, "disk " + who + " runs");
        break;
      case 3:
        at(t, "backup " + who);
        at(later, "restore " + who);
        at(soon(later, 300'000), "restart " + who);
        break;
      case 4:  // a copy of a directory that was closed in order looks untouched
        at(t, "stop " + who);
        at(t + 1'000, "backup " + who);
        at(t + 2'000, "restart " + who);
        at(later + 500'000, "restore " + who + " unnoticed");
        at(soon(later + 500'000, 300'000), "restart " + who);
        break;
      case 5:
        at(t, "wipe " + who);
        at(soon(t, 1'000'000), "restart " + who);
        break;
      default:  // an fsync that fails ends the process
        at(t, "disk " + who + " sync-fails");
    }
  }

  // A life ends of whose writes others got only the last, and its node stays away for long: the others must
  // not take the earlier ones for nobody's.
  void draw_absence() {
    Random apart(options_.seed + apart_absence);
    if (!options_.faults.contains("crash") || setup_.nodes() < 3 || !apart.one_in(20)) return;
    const auto name = [](uint64_t number) { return "n" + std::to_string(number); };
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
  void draw_membership() {
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

  // An operator has copies compared object by object, also while faults strike.
  void draw_repairs() {
    Random apart(options_.seed + apart_repairs);
    if (setup_.nodes() < 2 || !apart.one_in(3)) return;
    for (uint64_t i = apart.between(1, 6); i > 0; --i)
      at(apart.between(0, end_us_), "repair n" + std::to_string(apart.between(1, setup_.nodes())));
  }

  // Counters, sets and hashes: on keys of their own, now and then of another type than the change is for.
  void draw_changes() {
    Random apart(options_.seed + apart_types);
    if (!apart.one_in(3)) return;
    const uint64_t gap = apart.pick(std::vector<uint64_t>{10'000, 30'000, 100'000});
    const auto who = [&] { return "n" + std::to_string(apart.between(1, setup_.nodes())); };
    const auto small = [&](uint64_t most) { return std::to_string(apart.between(1, most)); };
    const bool expires = apart.one_in(3);
    const bool latest = apart.one_in(3);
    const uint64_t strict_ppm = apart.pick(std::vector<uint64_t>{0, 500'000, 1'000'000});
    std::string lean = apart.pick(std::vector<std::string>{"one", "quorum", "all"});
    std::string last;  // a read's context
    uint64_t number = 0;
    for (uint64_t t = apart.between(0, 1'500'000); t < end_us_; t += apart.between(1, gap * 2)) {
      std::string tail = latest ? " table=latest" : "";
      if (apart.chance_ppm(strict_ppm)) tail += " strict";
      tail += " timeout=" + duration_text(apart.pick(std::vector<uint64_t>{200'000, 500'000})) + " &";
      const std::string level =
          apart.one_in(3) ? apart.pick(std::vector<std::string>{"one", "quorum", "all"}) : lean;
      const uint64_t type = apart.below(3);
      const std::string key = std::string(1, "ish"[apart.one_in(40) ? apart.below(3) : type]) + small(2);
      const std::string ttl =
          expires && apart.one_in(12) ? " ttl=" + duration_text(apart.between(50, 3'000) * 1'000) : "";
      const std::string rest = " w=" + level + ttl + tail;
      const uint64_t what = apart.below(20);
      ++number;
      if (what < 6) {
        const std::string name = "t" + std::to_string(number);
        at(t, "get " + who() + " " + key + " r=" + level + " as=" + name + tail);
        last = name + " " + key;
      } else if (what == 6) {
        const std::string context =
            last.ends_with(" " + key) ? " context=" + last.substr(0, last.find(' ')) : "";
        at(t, "delete " + who() + " " + key + " w=" + level + context + tail);
      } else if (what == 7 && expires) {
        at(t, "expire " + who() + " " + key + " w=" + level +
                  (apart.one_in(4) ? "" : " ttl=" + duration_text(apart.between(50, 3'000) * 1'000)) + tail);
      } else if (what == 8 && type == 0) {
        at(t, "put " + who() + " " + key + " " + small(50) + " w=" + level + tail);
      } else if (type == 0) {
        const std::string token = apart.one_in(3) ? " token=k" + std::to_string(number) : "";
        const std::string line = " " + key + " " + (apart.one_in(4) ? "-" : "") + small(9) + token + rest;
        at(t, "incr " + who() + line);
        // Sent again, as a client does that was not answered.
        if (!token.empty() && apart.one_in(2)) at(t + apart.between(1, 600'000), "incr " + who() + line);
      } else if (type == 1) {
        const std::string more = apart.one_in(3) ? " e" + small(5) : "";
        at(t, std::string(apart.one_in(3) ? "srem " : "sadd ") + who() + " " + key + " e" + small(5) + more +
                  rest);
      } else if (apart.one_in(4)) {
        at(t, "hdel " + who() + " " + key + " f" + small(3) + rest);
      } else if (apart.one_in(3)) {
        at(t, "hincr " + who() + " " + key + " f" + small(3) + " " + small(9) + rest);
      } else {
        at(t, "hset " + who() + " " + key + " f" + small(3) + " " + small(99) + rest);
      }
    }
  }

  void draw_table_damage() {
    Random apart(options_.seed + apart_tables);
    if (!options_.faults.contains("disk") || !apart.one_in(6)) return;
    for (uint64_t i = apart.between(1, 3); i > 0; --i) {
      at(apart.between(0, end_us_),
         "disk n" + std::to_string(apart.between(1, setup_.nodes())) + " rots table");
    }
  }

  void draw_clock_fault(uint64_t t) {
    std::string who = node();
    switch (random_.below(4)) {
      case 0:
        at(t, "clock " + who + " drifts " + percent_text(random_.between(1'000, 200'000)));
        break;
      case 1:
        at(t, "clock " + who + " freezes");
        break;
      case 2:
        at(t, "clock " + who + " " + (random_.one_in(2) ? "+" : "-") +
                  duration_text(random_.between(10, 20'000) * 1000));
        break;
      default:
        if (random_.one_in(4)) at(t, "clock " + who + " +50000000s");
    }
    if (random_.one_in(2)) at(soon(t, 3'000'000), "clock " + who + " right");
  }

  // More than half of the nodes, and no others, can talk: they agree and take writes.
  void converge_majority(std::vector<std::string>& lines) {
    std::vector<uint64_t> order;
    for (uint64_t i = 1; i <= setup_.nodes(); ++i) order.push_back(i);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_.below(i)]);
    order.resize(random_.between(order.size() / 2 + 1, order.size()));
    std::string names;
    for (uint64_t i : order) names += " n" + std::to_string(i);
    lines.push_back("converge" + names);
    for (uint64_t k = 1; k <= keys_; ++k) {
      lines.push_back("delete n" + std::to_string(random_.pick(order)) + " k" + std::to_string(k) +
                      " w=one -> ok");
    }
  }

  std::vector<std::string> assembled() {
    std::sort(timed_.begin(), timed_.end(), [](const Timed& a, const Timed& b) {
      return a.at_us != b.at_us ? a.at_us < b.at_us : a.order < b.order;
    });
    std::vector<std::string> lines = setup_lines(setup_);
    uint64_t now_us = 0;
    for (const Timed& step : timed_) {
      if (step.at_us > now_us) lines.push_back("wait " + duration_text(step.at_us - now_us));
      now_us = step.at_us;
      lines.push_back(step.line);
    }
    const bool group = setup_.nodes() >= 2 && random_.one_in(3);
    if (group && !moves_) converge_majority(lines);
    lines.push_back("converge");
    // And then the store still works, at the highest level.
    for (uint64_t k = 1; k <= keys_; ++k) {
      std::string key = "k" + std::to_string(k);
      lines.push_back("get " + node() + " " + key + " r=all strict as=last" + key);
      lines.push_back("delete " + node() + " " + key + " w=all strict context=last" + key + " -> ok");
      lines.push_back("get " + node() + " " + key + " r=one -> nothing");
    }
    lines.push_back("converge");
    return lines;
  }

  GenerateOptions options_;
  Random random_;
  Setup setup_;
  uint64_t keys_ = 1;
  uint64_t end_us_ = 0;
  uint64_t lean_ = 0;
  uint64_t strict_share_ = 0;
  bool moves_ = false;                              // members come and go
  std::vector<std::vector<std::string>> contexts_;  // names of contexts, by key
  std::vector<Timed> timed_;
};

}  // namespace

std::vector<std::string> generate(const GenerateOptions& options) { return Generator(options).all(); }

}  // namespace covey::sim
