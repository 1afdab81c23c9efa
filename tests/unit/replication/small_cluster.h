// Cores over in-memory stores whose messages arrive at once, in order: for tests of what nodes do together.
// Faults belong to the simulator.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "replication/core.h"
#include "replication/peer_messages.h"
#include "storage/memory_store.h"

namespace covey::test {

class SmallCluster {
 public:
  explicit SmallCluster(uint32_t nodes, uint32_t replicas = 3, uint32_t partitions = 4,
                        const CoreOptions& options = {}, const std::map<std::string, Feed*>& feeds = {}) {
    std::vector<Member> members;
    for (uint32_t i = 1; i <= nodes; ++i)
      members.push_back(Member{NodeId{"n" + std::to_string(i)}, "", "", "a", 1.0});
    for (const Member& self : members) {
      auto& node = nodes_[self.node.name];
      node.options = options;
      node.options.self = self;
      node.options.partitions = partitions;
      node.options.replicas = replicas;
      node.options.seed = nodes_.size();
      if (auto feed = feeds.find(self.node.name); feed != feeds.end()) node.options.feed = feed->second;
      node.members = members;
      node.store = std::make_unique<MemoryStore>();
      start(self.node.name,
            {.life = nodes_.size() * 100, .fallback_life = nodes_.size() * 100 + 1, .fresh = true});
    }
    for (const Member& a : members) {
      for (const Member& b : members) {
        if (a.node != b.node) set_link(a.node.name, b.node.name, true);
      }
    }
    wait_ms(2'000);
  }

  Core& core(const std::string& name) { return *nodes_.at(name).core; }
  MemoryStore& store(const std::string& name) { return *nodes_.at(name).store; }
  Now now() const { return {now_us_, now_us_ / 1000 + 1'700'000'000'000}; }
  Now now(const std::string& name) const {
    Now time = now();
    const auto wrong = clocks_ahead_ms.find(name);
    if (wrong != clocks_ahead_ms.end()) time.wall_ms += static_cast<uint64_t>(wrong->second);
    return time;
  }

  void start(const std::string& name, Identity identity) {
    Node& node = nodes_.at(name);
    node.core = std::make_unique<Core>(node.options, *node.store);
    identity.incarnation = ++incarnation_;
    auto started = node.core->start(now(name), identity, node.members);
    if (!started) throw std::runtime_error(started.error().message);
  }

  // The machine stops and starts again with what was synced.
  void crash(const std::string& name) {
    nodes_.at(name).store->crash();
    uint64_t life = ++lives_ * 1000;
    start(name, {.life = life, .fallback_life = life + 1});
    for (const auto& [other, node] : nodes_) {
      if (other != name && !cut_.contains({name, other})) set_link(name, other, true);
    }
  }

  // Both ways.
  void cut(const std::string& a, const std::string& b) {
    set_link(a, b, false);
    set_link(b, a, false);
  }
  void join(const std::string& a, const std::string& b) {
    set_link(a, b, true);
    set_link(b, a, true);
  }
  void isolate(const std::string& name) {
    for (const auto& [other, node] : nodes_) {
      if (other != name) cut(name, other);
    }
  }
  void heal() {
    for (const auto& [a, node] : nodes_) {
      for (const auto& [b, other] : nodes_) {
        if (a < b && cut_.contains({a, b})) join(a, b);
      }
    }
  }

  void wait_ms(uint64_t ms) {
    for (uint64_t end = now_us_ + ms * 1000; now_us_ < end; now_us_ += 10'000) {
      for (auto& [name, node] : nodes_) node.core->tick(now(name));
      settle();
    }
  }

  Response ask(const std::string& name, Request request) {
    RequestId id = begin(name, std::move(request));
    settle();
    return end(id);
  }
  // Several requests at once: begun one after the other, before any message of theirs has arrived.
  RequestId begin(const std::string& name, Request request) {
    RequestId id{++next_request_};
    core(name).request(now(name), id, std::move(request));
    return id;
  }
  bool answered(RequestId id) const { return answers_.contains(id.value); }
  Response end(RequestId id) {
    for (int i = 0; i < 500 && !answers_.contains(id.value); ++i) wait_ms(10);
    Response out = std::move(answers_.at(id.value));
    answers_.erase(id.value);
    return out;
  }

  Response get(const std::string& name, const std::string& key, const std::string& level = "quorum",
               bool sloppy = false) {
    return ask(name, make(Operation::get, key, level, sloppy));
  }
  Response put(const std::string& name, const std::string& key, const std::string& value,
               std::optional<Context> context = {}, const std::string& level = "one", bool sloppy = false) {
    Request request = make(Operation::put, key, level, sloppy);
    request.value = value;
    request.context = std::move(context);
    return ask(name, std::move(request));
  }
  Response erase(const std::string& name, const std::string& key, std::optional<Context> context,
                 const std::string& level = "one") {
    Request request = make(Operation::erase, key, level, false);
    request.context = std::move(context);
    return ask(name, std::move(request));
  }
  std::vector<std::string> values(const Response& response) {
    std::vector<std::string> out;
    for (const Version& version : response.object.versions) out.push_back(version.value);
    std::sort(out.begin(), out.end());
    return out;
  }

  Request make(Operation operation, const std::string& key, const std::string& level, bool sloppy) {
    Request request;
    request.operation = operation;
    request.table = "default";
    request.key = key;
    request.level = *parse_level(level, nodes_.begin()->second.options.replicas);
    request.sloppy = sloppy;
    return request;
  }

  // All messages that are on their way arrive, and what they lead to.
  void settle() {
    bool busy = true;
    while (busy) {
      busy = false;
      for (auto& [name, node] : nodes_) {
        if (syncs && node.store->durable() < node.store->written()) {
          node.store->sync();
          node.core->durable(now(name));
        }
        Output output = node.core->drain();
        for (auto& alarm : output.alarms) alarms.push_back(name + ": " + alarm);
        for (auto& answer : output.answers) answers_[answer.id.value] = std::move(answer.response);
        for (auto& send : output.sends) {
          if (cut_.contains({name, send.to.name})) continue;
          if (lost && lost(name, send.to.name, *send.message)) continue;
          if (no_room && no_room(name, send.to.name, *send.message)) {
            node.core->unsent(now(name), send.to, *send.message);
            busy = true;
            continue;
          }
          bytes_sent += send.message->ByteSizeLong();
          peer::Envelope copy;
          if (!copy.ParseFromString(send.message->SerializeAsString()))
            throw std::runtime_error("unreadable");
          if (changes) changes(copy);
          core(send.to.name).receive(now(send.to.name), NodeId{name}, copy);
          busy = true;
        }
      }
    }
  }

  // Messages from the first to the second node that have no room; none when it is empty.
  std::function<bool(const std::string&, const std::string&, const peer::Envelope&)> no_room;
  // Messages that do not arrive, without a word.
  std::function<bool(const std::string&, const std::string&, const peer::Envelope&)> lost;
  // Changes messages on their way.
  std::function<void(peer::Envelope&)> changes;
  uint64_t bytes_sent = 0;
  std::map<std::string, int64_t> clocks_ahead_ms;  // wall clocks that are wrong
  std::vector<std::string> alarms;                 // "n1: ..."

  bool syncs = true;  // each step's writes become durable before the next

 private:
  struct Node {
    CoreOptions options;
    std::vector<Member> members;
    std::unique_ptr<MemoryStore> store;
    std::unique_ptr<Core> core;
  };

  void set_link(const std::string& from, const std::string& to, bool up) {
    if (up) {
      cut_.erase({from, to});
    } else {
      cut_.insert({from, to});
    }
    core(from).link(now(from), NodeId{to}, up);
  }

  std::map<std::string, Node> nodes_;
  std::set<std::pair<std::string, std::string>> cut_;
  std::map<uint64_t, Response> answers_;
  uint64_t now_us_ = 1'000'000;
  uint64_t next_request_ = 0;
  uint64_t incarnation_ = 0;
  uint64_t lives_ = 1;
};

}  // namespace covey::test
