#include <algorithm>

#include "tests/sim/generator.h"
#include "tests/sim/text.h"

namespace covey::sim {

std::vector<std::string> Generator::all() {
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
  draw_unseen_writes();
  draw_interrupted_transfer();
  draw_repairs();
  draw_changes();
  return assembled();
}

void Generator::draw_setup() {
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
  transfers_ = true;
  keys_ = apart.between(10, 25);
  setup_.partitions = 2;
  setup_.message_bytes_max = static_cast<uint32_t>(apart.between(200, 600));
  setup_.log_entries_max = apart.between(4, 12);
  // At 1,000 bytes a second five replicas took 280 of the 300 seconds that converging may.
  if (apart.one_in(2))
    setup_.transfer_bytes_per_second = apart.pick(std::vector<uint64_t>{2'500, 5'000, 20'000});
  if (apart.one_in(3)) setup_.filled_beside_max = apart.between(0, 4);
}

void Generator::draw_network() {
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
std::string Generator::level() {
  static const std::vector<std::string> all = {"one", "quorum", "all"};
  if (random_.one_in(10))
    return std::to_string(random_.between(1, std::min(setup_.replicas, setup_.nodes())));
  return lean_ < 3 && !random_.one_in(4) ? all[lean_] : random_.pick(all);
}

std::string Generator::context_for(const std::string& key) {
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

void Generator::draw_clients() {
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
      at(t, "put " + node() + " " + key + " v" + std::to_string(number) + " w=" + level() + context_for(key) +
                " as=" + name + tail + " &");
    }
    contexts_[std::stoul(key.substr(1)) % contexts_.size()].push_back(name);
  }
}

// More than half of the nodes, and no others, can talk: they agree and take writes, unless there is little
// room for what they would hold for owners among the others.
void Generator::converge_majority(std::vector<std::string>& lines) {
  std::vector<uint64_t> order;
  for (uint64_t i = 1; i <= setup_.nodes(); ++i) order.push_back(i);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random_.below(i)]);
  order.resize(random_.between(order.size() / 2 + 1, order.size()));
  std::string names;
  for (uint64_t i : order) names += " n" + std::to_string(i);
  lines.push_back("converge" + names);
  const bool limited = setup_.stand_in_bytes_max < Setup().stand_in_bytes_max;
  for (uint64_t k = 1; k <= keys_; ++k) {
    lines.push_back("delete n" + std::to_string(random_.pick(order)) + " k" + std::to_string(k) +
                    (limited ? " w=one" : " w=one -> ok"));
  }
}

std::vector<std::string> Generator::assembled() {
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
  if (group) converge_majority(lines);
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

std::vector<std::string> generate(const GenerateOptions& options) { return Generator(options).all(); }

}  // namespace covey::sim
