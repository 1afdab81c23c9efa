#include "server/repair_api.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

#include "server/json_body.h"

namespace covey::server {
namespace {

using Json = nlohmann::ordered_json;

const char* state_text(CopyCheck::State state) {
  switch (state) {
    case CopyCheck::State::waiting:
      return "waiting";
    case CopyCheck::State::running:
      return "running";
    case CopyCheck::State::equal:
      return "equal";
    case CopyCheck::State::differing:
      return "differing";
    case CopyCheck::State::repaired:
      return "repaired";
    case CopyCheck::State::failed:
      return "failed";
  }
  return "failed";
}

Json check_json(const CopyCheck& check) {
  Json out;
  out["partition"] = check.partition.value;
  out["with"] = check.with.name.empty() ? Json() : Json(check.with.name);
  out["state"] = state_text(check.state);
  out["objects"] = check.objects;
  out["buckets_differing"] = check.buckets;
  out["received"] = check.received;
  out["bytes"] = check.bytes;
  out["under_way"] = check.under_way;
  out["repaired"] = Json::object();
  for (const auto& [table, count] : check.repaired) out["repaired"][table] = count;
  out["recounted"] = check.recounted;
  if (!check.reason.empty()) out["reason"] = check.reason;
  return out;
}

std::optional<std::set<NodeId>> parse_except(const std::string& body) {
  const auto json = parse_body(body);
  if (!json) return std::nullopt;
  std::set<NodeId> except;
  for (const auto& [name, value] : json->items()) {
    if (name != "except" || !value.is_array()) return std::nullopt;
    for (const Json& node : value) {
      if (!node.is_string()) return std::nullopt;
      except.insert(NodeId{node.get<std::string>()});
    }
  }
  return except;
}

struct Part {
  std::vector<CopyCheck> checks;
  bool running = false;
};

}  // namespace

void start_repair(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& body) {
  auto except = parse_except(body);
  if (!except) {
    return connection->reply(
        slot, bad_request("The body may be {\"except\": [\"n1\"]}: nodes that need not be compared with."));
  }
  auto begin = [except = *except](ShardLoop& shard) { return shard.core().check_copies(except); };
  auto then = [connection, slot](std::vector<bool>&& begun) {
    if (std::find(begun.begin(), begun.end(), true) == begun.end()) {
      return connection->reply(
          slot, ErrorAnswer{409,
                            "repair_running",
                            "A repair is under way here: GET /v1/cluster/repair tells when it is done.",
                            {}});
    }
    spdlog::info("repair: all copies here are compared with the others'");
    connection->reply(slot, ReplyHead{.status = 202}, "{\"running\":true}\n");
  };
  gather<bool>(connection->shard(), begin, then);
}

void show_repair(std::shared_ptr<HttpConnection> connection, uint64_t slot) {
  auto each = [](ShardLoop& shard) {
    return Part{shard.core().copy_checks(), shard.core().checking_copies()};
  };
  auto then = [connection, slot](std::vector<Part>&& parts) {
    Json body;
    bool running = false;
    std::vector<CopyCheck> all;
    for (Part& part : parts) {
      running = running || part.running;
      std::move(part.checks.begin(), part.checks.end(), std::back_inserter(all));
    }
    std::sort(all.begin(), all.end(), [](const CopyCheck& a, const CopyCheck& b) {
      return std::tie(a.partition, a.with) < std::tie(b.partition, b.with);
    });
    body["node"] = connection->shard().node().self.node.name;
    body["running"] = running;
    body["checks"] = Json::array();
    for (const CopyCheck& check : all) body["checks"].push_back(check_json(check));
    connection->reply(slot, ReplyHead{}, body_text(body));
  };
  gather<Part>(connection->shard(), each, then);
}

}  // namespace covey::server
