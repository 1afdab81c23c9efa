// One command of a Redis client on its way: reads and writes the keys that it names and answers.
//
// What a command does with its keys is a KeyPlan. Where a change depends on what is there, the key is read
// with its context, and the write carries a condition that the coordinating replica checks: when another
// write came between, the key is read again. After attempts_max such refusals (or where siblings were read,
// which no condition can name) the write goes without a condition: it overwrites what was read, and what it
// has not seen stays beside it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/number.h"
#include "server/resp_connection.h"
#include "server/resp_reply.h"
#include "server/shard_loop.h"

namespace covey::server {

// What is done to a key.
struct KeyChange {
  enum class Kind { none, put, erase, apply, fail } kind = Kind::none;
  std::string value;                        // of fail: the error
  uint64_t expires_ms = 0;                  // 0: never
  std::optional<std::string> content_type;  // nullopt: the table's
  std::optional<Context> context;           // beside what was read
  std::vector<Change> changes;              // of apply

  static KeyChange put(std::string value, uint64_t expires_ms = 0) {
    return {Kind::put, std::move(value), expires_ms, {}, {}, {}};
  }
  static KeyChange erase() { return {Kind::erase, {}, 0, {}, {}, {}}; }
  // What the coordinating replica decides by what it holds, whatever was read. expires_ms: of
  // ChangeKind::expire.
  static KeyChange apply(std::vector<Change> changes, uint64_t expires_ms = 0) {
    return {Kind::apply, {}, expires_ms, {}, {}, std::move(changes)};
  }
  static KeyChange fail(std::string_view error) { return {Kind::fail, std::string(error), 0, {}, {}, {}}; }
};

inline constexpr std::string_view not_an_integer = "ERR value is not an integer or out of range";

// What a command says where its change does not fit what the key holds: Redis has a text for each.
struct KeyErrors {
  std::string_view not_a_number = not_an_integer;
  std::string_view overflow = "ERR increment or decrement would overflow";
};

struct KeyPlan {
  std::vector<std::string> keys;
  bool reads = true;          // false: `change` is told nothing of what is there
  bool overwrites = true;     // the write covers what its coordinator holds, though it was not read
  bool keeps_values = false;  // what is read stays in memory for the answer
  // Of the key at this place, which holds this (empty: nothing); again when another write came between.
  std::function<KeyChange(size_t place, const Response& read)> change;
  // What has been written; may be empty.
  std::function<void(size_t place, const Response& written)> wrote;
  // The coordinating replica kept holding something where nothing was read: the key is left as it is. Empty:
  // it is written all the same.
  std::function<void(size_t place)> refused;
  std::function<void(RespReply& reply)> answer;  // once all keys are done
  KeyErrors errors;
};

class RespCall : public Requester, public std::enable_shared_from_this<RespCall> {
 public:
  RespCall(std::shared_ptr<RespConnection> connection, uint64_t slot, std::vector<std::string> words);

  // The name first. May be moved from.
  std::vector<std::string> words;

  ShardLoop& shard() { return connection_->shard(); }
  const Config& config() { return shard().node().config; }
  RespConnection& connection() { return *connection_; }
  RespSession& session() { return connection_->session(); }
  const std::string& table() const { return table_; }
  Level read_level, write_level;  // the session's, unless the command says otherwise
  bool counts_keys = false;       // that it reads, as found or not
  bool gone() const { return connection_->gone(slot_); }

  RespReply& reply() { return reply_; }
  void done();  // reply() is the answer
  void fail(std::string_view error) {
    reply_.error(error);
    done();
  }
  void fail_syntax() { fail("ERR syntax error"); }

  // Answers when all is done.
  void run(KeyPlan plan);
  // The same for a command that only reads, or only writes, the key that is words[1]: `then` writes reply()
  // of what was read or written.
  using Then = void (*)(RespCall& call, const Response& response);
  void read_key(Then then);
  void put_key(std::string value, uint64_t expires_ms, Then then);
  // For those who ask themselves. Of a get, put, erase or scan in the session's table.
  Request request(Operation operation, std::string key) const;

  void answered(uint64_t place, Response&& response) override;
  void read_again();  // what there was no room for (RespConnection::put_off)

 private:
  struct Step {
    bool reading = false;
    uint32_t attempts = 0;
  };

  bool may_ask(const std::string& key);
  void take_one(const Response& response);
  std::optional<std::string> put_into(Request& request, ReadRow& row, KeyChange change) const;
  void advance();
  bool put_off(const Response& response);
  void count_key(const Response& read);
  void read(size_t place);
  void take_read(size_t place, const Response& response);
  void write(size_t place, KeyChange change, const Response* read);
  void key_done();
  void key_failed(std::string error);
  std::string error_of_write(const Response& response) const;
  void condition(size_t place, Request& request, const Response& read) const;

  std::shared_ptr<RespConnection> connection_;
  const uint64_t slot_;
  std::string table_;
  Conflicts conflicts_ = Conflicts::siblings;
  RespReply reply_;
  Then then_ = nullptr;  // nullptr: there is a plan
  bool writes_ = false;  // without a plan: words[1] is written, not read
  KeyPlan plan_;
  std::vector<Step> steps_;
  size_t next_ = 0;
  size_t under_way_ = 0;
  size_t kept_bytes_ = 0;
  bool advancing_ = false;
  std::string error_;  // the first that a key met
};

// For the key that is words[1], and for all words but the name: they are moved from.
KeyPlan plan_of_key(RespCall& call);
KeyPlan plan_of_keys(RespCall& call);
// Has the coordinating replica change the key that is words[1]; `answer` is told what that did.
void change_key(RespCall& call, std::vector<Change> changes,
                std::function<void(RespReply& reply, const Changed& changed)> answer, KeyErrors errors = {});

// The newest version of what is there. nullptr: nothing.
inline const Version* seen(const Response& read) { return newest(read.object); }

// "UNAVAILABLE needed 2 reachable 1"
std::string resp_error(const Response& response, Operation operation);

}  // namespace covey::server
