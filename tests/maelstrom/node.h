// covey as a node of Maelstrom: the core that coveyd runs, behind lines of JSON. Given lines and the time, it
// gives lines; main.cpp has the process around it. docs/maelstrom.md says what is served and how.
//
// Every node owns every partition (as many replicas as nodes, at most 16), and keeps all in memory.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "replication/core.h"
#include "storage/memory_store.h"
#include "tests/maelstrom/message.h"

namespace covey::maelstrom {

enum class Workload : uint8_t { echo, broadcast, g_set, g_counter, pn_counter, lin_kv };
// As Maelstrom names it; nullopt: it is not served.
std::optional<Workload> parse_workload(std::string_view name);

inline constexpr uint32_t partitions = 8;

struct NodeOptions {
  Workload workload = Workload::echo;
  // Of reads and writes of lin-kv. Anything below a strict majority is not linearizable.
  Level level;
  uint64_t seed = 1;            // for the core's choices
  uint64_t life = 1;            // random bits
  uint64_t incarnation = 1;     // higher than that of an earlier process of this node
  size_t requests_max = 1'000;  // of clients, not answered yet; beyond it they are refused
};

class Node {
 public:
  explicit Node(NodeOptions options);
  ~Node();

  void line(Now now, std::string_view line);
  void tick(Now now);  // call at least every 10 ms

  // Since the last call: lines to write, in order, and what to tell a person.
  std::vector<std::string> take_lines();
  std::vector<std::string> take_log();

 private:
  // Whom to answer.
  struct Client {
    std::string name;
    uint64_t msg_id;
  };
  using Then = std::function<void(Now, Response&)>;
  struct Register;
  struct Gathering;

  void init(Now now, const Message& message);
  std::string begin(Now now, const Message& message);  // empty, or why it cannot
  void greet(Now now);
  void answer_init(Now now);
  bool all_ready(Now now) const;
  void receive_peer(Now now, const Message& message);
  void receive_client(Now now, const Message& message);

  // Each answers the client, at once or later, and once. False: it does not know the message's type.
  bool serve_broadcast(Now now, const Client& client, const Message& message);
  bool serve_set(Now now, const Client& client, const Message& message);
  bool serve_counter(Now now, const Client& client, const Message& message);
  bool serve_registers(Now now, const Client& client, const Message& message);

  // Asks for it, and answers the client when it is done.
  void write(Now now, const Client& client, Request request, const char* answer_type);
  // All keys of a table with their live versions, partition by partition, as this node has them.
  using Rows = std::vector<std::pair<std::string, Object>>;
  void gather(Now now, const Client& client, const std::string& table, std::function<void(Rows&)> then);
  void gather_next(Now now, std::shared_ptr<Gathering> gathering);

  bool strict() const;  // whether any two sets of replicas that answer have one in common
  void read_settled(Now now, std::shared_ptr<Register> call);
  void settled(Now now, Register& call, Response& read);
  void write_over(Now now, Register& call, const Response& read);

  void ask(Now now, Request request, Then then);
  void later(uint64_t at_us, std::function<void(Now)> action);
  void perform(Now now);

  void reply(const Client& client, Json body);
  void refuse(const Client& client, ErrorCode code, const std::string& text);
  // The answer for any status but ok and not_found.
  void refuse(const Client& client, const Response& response);
  void log(std::string text);

  const NodeOptions options_;
  MemoryStore store_;
  std::unique_ptr<Core> core_;  // from init on
  std::string name_;
  std::set<NodeId> peers_;
  std::vector<std::string> lines_;
  std::vector<std::string> log_;
  std::map<uint64_t, Then> asked_;  // by the core's request
  uint64_t next_request_ = 1;
  std::multimap<uint64_t, std::function<void(Now)>> later_;
  size_t in_flight_ = 0;        // requests of clients
  std::optional<Client> init_;  // not answered yet
  uint64_t greet_at_us_ = 0;    // 0: done
  uint64_t init_until_us_ = 0;
};

}  // namespace covey::maelstrom
