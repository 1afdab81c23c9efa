// lin-kv: registers that are linearizable, as those of Attiya, Bar-Noy and Dolev ("Sharing memory robustly in
// message-passing systems", JACM 1995) are, over strict majorities. docs/maelstrom.md has the argument.
//
// What a reader gets of a key is its newest version, by (time, dot). A read is *settled* when all replicas
// that answered it, a strict majority with this node among them, hold the same versions. Then
// - a read is answered: no later one finds less at a majority;
// - a write goes on: this node's store holds all that was read, so the new version's time is later, and the
//   context that was read makes it cover what was read.
// Until then it reads again: the core's read repair and gossip bring those up that are behind.
#include <algorithm>
#include <utility>

#include "tests/maelstrom/node.h"

namespace covey::maelstrom {
namespace {

constexpr const char* registers_table = "registers";
constexpr uint64_t limit_us = 900'000;    // of an operation; Maelstrom's client waits for 1 s at least
constexpr uint64_t attempt_us = 300'000;  // of one of its reads: then the core repairs, whoever is silent
constexpr uint64_t pause_us_least = 5'000;
constexpr uint64_t pause_us_most = 80'000;

uint32_t ms_up(uint64_t us) { return static_cast<uint32_t>((us + 999) / 1'000); }

}  // namespace

struct Node::Register {
  Client client;
  std::string key;
  std::optional<std::string> value;  // of a write
  uint64_t deadline_us;
  uint64_t pause_us = pause_us_least;
};

bool Node::serve_registers(Now now, const Client& client, const Message& message) {
  if (message.type == "cas") {
    refuse(
        client, ErrorCode::not_supported,
        "compare-and-set needs all nodes to agree on an order of writes; covey has no consensus, and checks "
        "conditions at one replica only");
    return true;
  }
  const bool writes = message.type == "write" && message.body.contains("value");
  if ((message.type != "read" && !writes) || !message.body.contains("key")) return false;
  auto call = std::make_shared<Register>(
      Register{client, message.body["key"].dump(), std::nullopt, now.tick_us + limit_us});
  if (call->key.size() > key_bytes_max) {
    refuse(client, ErrorCode::malformed_request,
           "the key's JSON is longer than " + std::to_string(key_bytes_max) + " bytes");
    return true;
  }
  if (writes) call->value = message.body["value"].dump();
  if (writes && !strict()) {
    write_over(now, *call, {});
  } else {
    read_settled(now, std::move(call));
  }
  return true;
}

bool Node::strict() const {
  const auto nodes = static_cast<uint32_t>(peers_.size() + 1);
  return options_.level.needed(nodes) * 2 > nodes;
}

void Node::read_settled(Now now, std::shared_ptr<Register> call) {
  if (now.tick_us >= call->deadline_us) {
    // Nothing was written.
    refuse(call->client, call->value ? ErrorCode::abort : ErrorCode::timeout,
           "timed out before a majority of replicas held the same");
    return;
  }
  const uint64_t left_us = call->deadline_us - now.tick_us;
  Request get{.table = registers_table,
              .key = call->key,
              .level = options_.level,
              .sloppy = false,
              .timeout_ms = ms_up(std::min(left_us, attempt_us))};
  ask(now, std::move(get), [this, call](Now then, Response& response) {
    const bool answered = response.status == Status::ok || response.status == Status::not_found;
    if (!answered && response.status != Status::timeout) return refuse(call->client, response);
    if (answered && (response.behind == 0 || !strict())) return settled(then, *call, response);
    const uint64_t pause_us = std::exchange(call->pause_us, std::min(call->pause_us * 2, pause_us_most));
    later(then.tick_us + pause_us, [this, call](Now again) { read_settled(again, call); });
  });
}

void Node::settled(Now now, Register& call, Response& read) {
  if (call.value) return write_over(now, call, read);
  const Version* version = newest(read.object);
  if (version == nullptr) return refuse(call.client, ErrorCode::key_does_not_exist, "there is no such key");
  reply(call.client, {{"type", "read_ok"}, {"value", Json::parse(version->value, nullptr, false)}});
}

void Node::write_over(Now now, Register& call, const Response& read) {
  const uint64_t left_us = call.deadline_us - std::min(call.deadline_us, now.tick_us);
  Request put{.operation = Operation::put,
              .table = registers_table,
              .key = call.key,
              .level = options_.level,
              .sloppy = false,
              .timeout_ms = std::max(ms_up(left_us), 1U),
              .context = read.context,
              .overwrite = !strict(),
              .value = *call.value};
  ask(now, std::move(put), [this, client = call.client](Now, Response& response) {
    if (response.status != Status::ok) return refuse(client, response);
    reply(client, {{"type", "write_ok"}});
  });
}

}  // namespace covey::maelstrom
