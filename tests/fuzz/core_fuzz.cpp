// Three cores that talk, one of which is told what was never said: messages that were changed on the way,
// repeated much later, or made up. Frames have checksums and peers are known, so all this means a peer with a
// bug or of another release. It may cost anything but the node: no core may ever abort, or talk without end.
//
// The input is a script, one byte a step and its operands behind it. So even random bytes reach deep.
#include <array>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "replication/core.h"
#include "replication/peer_messages.h"
#include "storage/memory_store.h"
#include "tests/fuzz/fuzz.h"

namespace covey::fuzz {
namespace {

constexpr int nodes = 3;
constexpr int victim = 0;
constexpr int steps_max = 120;
constexpr int deliveries_max = 20'000;  // of one step; a conversation that goes on longer does not end
constexpr size_t kept_messages_max = 64;

class Script {
 public:
  Script(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool done() const { return size_ == 0; }
  uint8_t byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  std::string bytes(size_t count) {
    std::string out;
    for (size_t i = 0; i < count && size_ > 0; ++i) out.push_back(static_cast<char>(byte()));
    return out;
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

class World {
 public:
  explicit World(Script script) : script_(script) {
    std::vector<Member> members;
    for (int n = 0; n < nodes; ++n) members.push_back({name(n), "p", "h", "", 1.0});
    for (int n = 0; n < nodes; ++n) {
      stores_[n] = std::make_unique<MemoryStore>();
      start(n, members, true);
    }
    for (int a = 0; a < nodes; ++a) connect(a, true);
    wait(30);
  }

  void run() {
    for (int step = 0; step < steps_max && !script_.done(); ++step) one_step(script_.byte());
    wait(50);
    for (auto& core : cores_) core->partitions(now());
  }

 private:
  static NodeId name(int n) { return {"n" + std::to_string(n + 1)}; }
  static int index(const NodeId& node) { return node.name.back() - '1'; }
  Now now() const { return {now_us_, now_us_ / 1000 + 1'700'000'000'000}; }

  void start(int n, const std::vector<Member>& members, bool fresh) {
    CoreOptions options;
    options.self = members[n];
    options.partitions = 2;
    options.seed = static_cast<uint64_t>(n) + 1;
    options.operations_max = 50;
    options.log_entries_max = 16;  // cut early, so that whole partitions are sent
    options.message_bytes_max = 256;
    cores_[n] = std::make_unique<Core>(options, *stores_[n]);
    Identity identity;
    identity.life = ++lives_ * 100;
    identity.fallback_life = identity.life + 1;
    identity.incarnation = lives_;
    identity.fresh = fresh;
    COVEY_ASSERT(cores_[n]->start(now(), identity, members).ok());
    members_ = members;
  }

  void connect(int n, bool up) {
    for (int other = 0; other < nodes; ++other) {
      if (other == n) continue;
      cut_[n][other] = cut_[other][n] = !up;
      cores_[n]->link(now(), name(other), up);
      cores_[other]->link(now(), name(n), up);
    }
  }

  void wait(int ticks) {
    for (int i = 0; i < ticks; ++i) {
      now_us_ += 20'000;
      for (auto& core : cores_) core->tick(now());
      settle();
    }
  }

  // Performs what the cores ask for until they are silent.
  void settle() {
    int deliveries = 0;
    for (bool busy = true; busy;) {
      busy = false;
      for (int n = 0; n < nodes; ++n) {
        if (!stalled_[n] && stores_[n]->durable() < stores_[n]->written()) {
          stores_[n]->sync();
          cores_[n]->durable(now());
        }
        Output output = cores_[n]->drain();
        for (auto& answer : output.answers) {
          if (answer.response.status == Status::ok) seen_ = answer.response.context;
        }
        for (auto& send : output.sends) {
          int to = index(send.to);
          if (to < 0 || to >= nodes || to == n || cut_[n][to]) continue;  // a member that somebody made up
          busy = true;
          COVEY_ASSERT(++deliveries < deliveries_max);
          deliver(n, to, send.message->SerializeAsString());
        }
      }
    }
  }

  void deliver(int from, int to, std::string bytes) {
    if (to == victim) {
      if (kept_.size() < kept_messages_max) kept_.emplace_back(from, bytes);
      if (!changes_.empty()) {
        auto [at, flip] = changes_.front();
        changes_.pop_front();
        if (flip == 0) {
          bytes.resize(bytes.size() * at / 65536);
        } else if (!bytes.empty()) {
          char& changed = bytes[bytes.size() * at / 65536];
          changed = static_cast<char>(changed ^ flip);
        }
      }
    }
    tell(from, to, bytes);
  }

  void tell(int from, int to, const std::string& bytes) {
    peer::Envelope message;
    if (message.ParseFromString(bytes)) cores_[to]->receive(now(), name(from), message);
  }

  void request(int n, Operation operation, uint8_t what) {
    Request request;
    request.operation = operation;
    request.table = "default";
    request.key = std::string(1, static_cast<char>('a' + what % 4));
    request.level = Level{static_cast<Level::Kind>(what / 4 % 3)};
    request.sloppy = (what & 0x10) != 0;
    if ((what & 0x20) != 0) request.context = seen_;
    if ((what & 0x40) != 0) request.conflicts = Conflicts::last_write_wins;
    if ((what & 0x80) != 0 && operation == Operation::put) request.expires_ms = now().wall_ms + 300;
    request.value = std::string(what, 'v');
    if (operation == Operation::erase && (what & 0x80) != 0) change(request, what);
    request.partition = PartitionId{what % 2u};
    request.timeout_ms = 200;
    cores_[n]->request(now(), RequestId{++requests_}, std::move(request));
  }

  // All keys take all changes: what is there is of any type.
  void change(Request& request, uint8_t what) const {
    request.operation = Operation::change;
    request.value.clear();
    const auto kind = static_cast<ChangeKind>(1 + what % (static_cast<int>(ChangeKind::count) - 1));
    if ((what & 0x40) != 0) request.expires_ms = now().wall_ms + 300;
    request.changes = {{kind, std::string(1, static_cast<char>('a' + what % 3)), std::to_string(what)}};
  }

  void one_step(uint8_t step) {
    switch (step % 13) {
      case 0:
        wait(1 + step / 16);
        break;
      case 1:
      case 2:
      case 3:
        request(step % 13 - 1, Operation::put, script_.byte());
        break;
      case 4:
        request(script_.byte() % nodes, Operation::get, script_.byte());
        break;
      case 5:
        request(script_.byte() % nodes, Operation::erase, script_.byte());
        break;
      case 6:
        request(script_.byte() % nodes, Operation::scan, script_.byte());
        break;
      case 7: {  // the next message to the victim arrives changed
        int high = script_.byte(), low = script_.byte();
        changes_.emplace_back(high << 8 | low, script_.byte());
        break;
      }
      case 8:  // an old message comes again, perhaps from somebody else
        if (!kept_.empty()) tell(1 + script_.byte() % 2, victim, kept_[script_.byte() % kept_.size()].second);
        break;
      case 9:
        tell(1 + step / 13 % 2, victim, script_.bytes(script_.byte()));
        break;  // made up
      case 10: {
        int n = script_.byte() % nodes;
        connect(n, step >= 128);
        break;
      }
      case 11:
        stalled_[step / 13 % nodes] = step >= 128;
        break;
      case 12: {  // a machine stops and starts; what was not synced is lost
        int n = 1 + script_.byte() % 2;
        stores_[n]->crash();
        start(n, members_, false);
        connect(n, true);
        break;
      }
    }
    settle();
  }

  Script script_;
  std::array<std::unique_ptr<MemoryStore>, nodes> stores_;
  std::array<std::unique_ptr<Core>, nodes> cores_;
  std::array<std::array<bool, nodes>, nodes> cut_{};
  std::array<bool, nodes> stalled_{};
  std::vector<Member> members_;
  std::deque<std::pair<int, int>>
      changes_;  // where (in 65,536ths of the message) and which bits; 0: cut off there
  std::vector<std::pair<int, std::string>> kept_;
  Context seen_;
  uint64_t now_us_ = 1'000'000;
  uint64_t lives_ = 0;
  uint64_t requests_ = 0;
};

}  // namespace
}  // namespace covey::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  covey::fuzz::World(covey::fuzz::Script(data, size)).run();
  return 0;
}
