#include "tests/maelstrom/node.h"

#include <algorithm>
#include <utility>

#include "replication/base64.h"
#include "replication/peer_messages.h"

namespace covey::maelstrom {
namespace {

constexpr const char* peer_type = "covey";
constexpr size_t nodes_max = 16;  // all of them are replicas of everything
constexpr uint64_t gossip_interval_us = 100'000;
// Maelstrom starts its nodes side by side, and stops listening to one that has sent a message to another
// which is not there yet.
constexpr uint64_t greet_after_us = 500'000;
constexpr uint64_t init_limit_us = 5'000'000;  // Maelstrom waits for 10 s
constexpr uint64_t object_bytes_max = 1024 * 1024;
constexpr uint64_t merged_bytes_max = 2 * 1024 * 1024;  // in base64 it fits a line
constexpr size_t log_lines_max = 100;                   // between two calls of take_log()

bool is_node_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

}  // namespace

std::optional<Workload> parse_workload(std::string_view name) {
  if (name == "echo") return Workload::echo;
  if (name == "broadcast") return Workload::broadcast;
  if (name == "g-set") return Workload::g_set;
  if (name == "g-counter") return Workload::g_counter;
  if (name == "pn-counter") return Workload::pn_counter;
  if (name == "lin-kv") return Workload::lin_kv;
  return std::nullopt;
}

Node::Node(NodeOptions options) : options_(std::move(options)), store_(Durability::none) {}
Node::~Node() = default;

void Node::line(Now now, std::string_view line) {
  Parsed parsed = parse_message(line);
  if (!parsed.message) {
    log("a line was dropped: " + parsed.error);
    return;
  }
  const Message& message = *parsed.message;
  if (message.type == "error") return;  // nothing is asked of others that could end in one
  if (parsed.error.empty() && message.type == peer_type && peers_.contains(NodeId{message.src})) {
    receive_peer(now, message);
    return;
  }
  if (!message.msg_id) {
    log("a message of " + message.src +
        " was dropped: " + (parsed.error.empty() ? "without 'msg_id' it cannot be answered" : parsed.error));
    return;
  }
  const Client client{message.src, *message.msg_id};
  if (name_.empty()) name_ = message.dest;
  ++in_flight_;
  if (!parsed.error.empty()) {
    refuse(client, ErrorCode::malformed_request, parsed.error);
  } else if (message.type == "init") {
    init(now, message);
  } else if (!core_) {
    refuse(client, ErrorCode::temporarily_unavailable, "this node waits for its 'init'");
  } else if (in_flight_ > options_.requests_max) {
    refuse(client, ErrorCode::temporarily_unavailable,
           "overloaded: " + std::to_string(options_.requests_max) + " requests are not answered yet");
  } else {
    receive_client(now, message);
  }
}

void Node::init(Now now, const Message& message) {
  const Client client{message.src, *message.msg_id};
  std::string error = core_ ? "this node has had its 'init'" : begin(now, message);
  if (!error.empty()) {
    refuse(client, ErrorCode::malformed_request, error);
    return;
  }
  init_ = client;
  greet_at_us_ = now.tick_us + greet_after_us;
  init_until_us_ = now.tick_us + init_limit_us;
  perform(now);
}

std::string Node::begin(Now now, const Message& message) {
  const Json& body = message.body;
  if (!body.contains("node_id") || !body["node_id"].is_string() || !body.contains("node_ids") ||
      !body["node_ids"].is_array())
    return "'init' needs the string 'node_id' and the list 'node_ids'";
  const auto name = body["node_id"].get<std::string>();
  std::vector<Member> members;
  bool named = false;
  for (const Json& id : body["node_ids"]) {
    if (!id.is_string() || !is_node_name(id.get<std::string>()))
      return "a node's id is 1 to 64 of letters, digits, '_' and '-'";
    named |= id == name;
    if (id != name) members.push_back({.node = {id.get<std::string>()}});
  }
  if (!named) return "'node_ids' does not have this node's own id";
  std::set<NodeId> peers;
  for (const Member& member : members) peers.insert(member.node);
  if (members.size() + 1 > nodes_max || peers.size() != members.size())
    return "there may be 1 to " + std::to_string(nodes_max) + " nodes, each named once";
  name_ = name;
  peers_ = std::move(peers);
  core_ = std::make_unique<Core>(CoreOptions{.self = {.node = {name}},
                                             .partitions = partitions,
                                             .replicas = static_cast<uint32_t>(members.size() + 1),
                                             .wait_for_durable = false,
                                             .seed = options_.seed,
                                             .gossip_interval_us = gossip_interval_us,
                                             .object_bytes_max = object_bytes_max,
                                             .merged_bytes_max = merged_bytes_max},
                                 store_);
  auto started = core_->start(now,
                              {.life = options_.life,
                               .fallback_life = options_.life + 1,
                               .incarnation = options_.incarnation,
                               .fresh = true},
                              members);
  COVEY_ASSERT(started.ok());
  return {};
}

void Node::greet(Now now) {
  if (greet_at_us_ == 0) return;
  greet_at_us_ = 0;
  for (const NodeId& peer : peers_) core_->link(now, peer, true);
}

// A node that has answered its init serves strict requests, too.
void Node::answer_init(Now now) {
  if (!init_ || (now.tick_us < init_until_us_ && !all_ready(now))) return;
  reply(*init_, {{"type", "init_ok"}});
  init_.reset();
}

bool Node::all_ready(Now now) const {
  for (uint32_t id = 0; id < partitions; ++id) {
    for (const OwnerView& owner : core_->owners(now, PartitionId{id})) {
      if (!owner.ready || !owner.reachable) return false;
    }
  }
  return true;
}

void Node::receive_peer(Now now, const Message& message) {
  greet(now);
  auto data = message.body.find("data");
  std::optional<std::string> bytes;
  if (data != message.body.end() && data->is_string()) bytes = base64_decode(data->get<std::string>());
  peer::Envelope envelope;
  if (!bytes || !envelope.ParseFromString(*bytes)) {
    log("a message of " + message.src + " was dropped: it is not one of a peer");
    return;
  }
  core_->receive(now, NodeId{message.src}, envelope);
  perform(now);
}

void Node::receive_client(Now now, const Message& message) {
  greet(now);
  const Client client{message.src, *message.msg_id};
  bool known = false;
  switch (options_.workload) {
    case Workload::echo:
      known = message.type == "echo" && message.body.contains("echo");
      if (known) reply(client, {{"type", "echo_ok"}, {"echo", message.body["echo"]}});
      break;
    case Workload::broadcast:
      known = serve_broadcast(now, client, message);
      break;
    case Workload::g_set:
      known = serve_set(now, client, message);
      break;
    case Workload::g_counter:
    case Workload::pn_counter:
      known = serve_counter(now, client, message);
      break;
    case Workload::lin_kv:
      known = serve_registers(now, client, message);
      break;
  }
  if (!known) {
    refuse(client, ErrorCode::not_supported,
           "'" + message.type.substr(0, 64) + "' with these fields is not served in this workload");
  }
  perform(now);
}

void Node::tick(Now now) {
  if (!core_) return;
  if (greet_at_us_ != 0 && now.tick_us >= greet_at_us_) greet(now);
  core_->tick(now);
  perform(now);
  while (!later_.empty() && later_.begin()->first <= now.tick_us) {
    auto action = std::move(later_.begin()->second);
    later_.erase(later_.begin());
    action(now);
    perform(now);
  }
  answer_init(now);
}

void Node::ask(Now now, Request request, Then then) {
  const uint64_t id = next_request_++;
  asked_.emplace(id, std::move(then));
  core_->request(now, RequestId{id}, std::move(request));
}

void Node::later(uint64_t at_us, std::function<void(Now)> action) {
  later_.emplace(at_us, std::move(action));
}

void Node::perform(Now now) {
  for (;;) {
    Output output = core_->drain();
    store_.sync();  // forgets how it could be undone
    for (const Output::Send& send : output.sends) {
      if (greet_at_us_ != 0) continue;  // nobody may be there yet; it counts as lost
      lines_.push_back(
          message_line(name_, send.to.name,
                       {{"type", peer_type}, {"data", base64_encode(send.message->SerializeAsString())}}));
    }
    for (std::string& alarm : output.alarms) log(std::move(alarm));
    if (output.answers.empty()) return;
    for (Output::Answer& answer : output.answers) {
      auto at = asked_.find(answer.id.value);
      COVEY_ASSERT(at != asked_.end());
      Then then = std::move(at->second);
      asked_.erase(at);
      then(now, answer.response);
    }
  }
}

void Node::reply(const Client& client, Json body) {
  body["in_reply_to"] = client.msg_id;
  lines_.push_back(message_line(name_, client.name, std::move(body)));
  COVEY_ASSERT(in_flight_ > 0);
  --in_flight_;
}

void Node::refuse(const Client& client, ErrorCode code, const std::string& text) {
  reply(client, error_body(code, text));
}

void Node::refuse(const Client& client, const Response& response) {
  const std::string counts = std::to_string(response.needed) + " replicas must answer, " +
                             std::to_string(response.received) + " did, " +
                             std::to_string(response.reachable) + " could be reached";
  switch (response.status) {
    case Status::ok:
    case Status::not_found:
      COVEY_ASSERT(false);
      break;
    case Status::unavailable:
      return refuse(client, ErrorCode::temporarily_unavailable, "unavailable: " + counts);
    case Status::timeout:
      return refuse(client, ErrorCode::timeout, "timed out: " + counts);
    case Status::overloaded:
      return refuse(client, ErrorCode::temporarily_unavailable, "overloaded; nothing was written");
    case Status::precondition_failed:
      return refuse(client, ErrorCode::precondition_failed, "a precondition failed; nothing was written");
    case Status::number_overflow:
      return refuse(client, ErrorCode::abort, "the sum would be beyond 64 bits; nothing was written");
    case Status::too_many_siblings:
    case Status::too_many_elements:
    case Status::object_too_large:
      return refuse(client, ErrorCode::abort, "the key would hold too much; nothing was written");
    default:
      return refuse(client, ErrorCode::abort, "refused; nothing was written");
  }
}

void Node::log(std::string text) {
  if (log_.size() < log_lines_max) log_.push_back(std::move(text));
}

std::vector<std::string> Node::take_lines() { return std::exchange(lines_, {}); }
std::vector<std::string> Node::take_log() { return std::exchange(log_, {}); }

}  // namespace covey::maelstrom
