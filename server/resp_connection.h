// A connection of a Redis client: keeps the answers to its commands in order. What a command means is
// resp_commands' business.
//
// Several pipelined commands are under way at once, but those that name the same key run one after the other
// if one of them writes, and a command with several keys runs alone: what a client has sent first is seen by
// what it sent next, as in Redis.
//
// Limits and what happens at them: commands_max commands under way, or request_bytes_max bytes of them,
// held_replies_max bytes of answers behind one that takes longer: no more is read until there is room. What
// has been read for a command and has no room there, or behind answers that the client does not take, is read
// again when its turn has come and there is room. A client that is silent within a command or before it has
// authenticated for 30 s is disconnected; between commands it may rest.
//
// Used by one shard's thread.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/client_connection.h"
#include "server/resp_parser.h"

namespace covey::server {

class RespCall;
class RespReply;
struct RespCommand;

// What the client has set for the commands that follow.
struct RespSession {
  uint64_t id = 0;
  int protocol = 2;
  bool authenticated = false;
  std::string name, library_name, library_version;
  std::string table{default_table};
  Level read_level, write_level;
  uint64_t begun_us = 0;
};

class RespConnection : public ClientConnection {
 public:
  // As ClientConnection.
  RespConnection(ShardLoop& shard, boost::asio::ip::tcp::socket socket, std::atomic<size_t>& count);
  ~RespConnection() override;

  // There are too many: says so, and closes.
  void refuse();

  void drain() override;
  RespSession& session() { return session_; }
  void reset_session();  // as it was when the connection began, but for its id
  enum class Replies { on, off, skip_next };
  // From the command that calls this on, or only for it and the next one.
  void set_replies(Replies replies);
  uint64_t client_id() const override { return session_.id; }
  std::string line() const override;

  // A slot is one command's place in the order; for one that has ended, or on a connection that is closed,
  // reply() does nothing.
  void reply(uint64_t slot, RespReply&& reply);
  // Whether an answer with so many bytes of values has no room yet: then the call is told to read again once
  // it has.
  bool put_off(uint64_t slot, size_t bytes, std::shared_ptr<RespCall> call);
  bool gone(uint64_t slot) const;  // nobody waits for this answer any more
  void end_after_this();           // no more commands: closes when the answers so far are written

 private:
  struct Slot {
    std::string bytes;                // of its answer, while another one goes first
    std::shared_ptr<RespCall> again;  // is to read again
    const RespCommand* command = nullptr;
    uint64_t key_hash = 0;
    uint64_t begun_us = 0;
    size_t request_bytes = 0;
    bool complete = false;
    bool silent = false;  // the client wants no answer
  };
  struct Waiting {  // has been read and can't begin yet
    std::vector<std::string> words;
    const RespCommand* command = nullptr;  // nullptr: none of this name
    uint64_t key_hash = 0;
    size_t bytes = 0;
  };

  bool idle() const override { return slots_.empty(); }
  bool has_room() const override { return !waiting_ && !is_full(); }
  bool may_rest() const override;
  void parse_input() override;
  void sent_all() override;
  void forget_requests() override;
  std::shared_ptr<RespConnection> self();
  bool is_full() const;
  bool parse_command();
  bool may_begin(const Waiting& waiting) const;
  Slot& add_slot();
  void begin_command();
  void let_first_read_again();
  void refuse_with(std::string_view error);

  RespSession session_;
  RespParser parser_;
  Replies replies_ = Replies::on;
  std::optional<Waiting> waiting_;
  std::deque<Slot> slots_;
  uint64_t first_slot_ = 1;
  size_t under_way_ = 0;      // slots that are not complete
  size_t request_bytes_ = 0;  // of the slots
  size_t held_bytes_ = 0;     // of the slots' answers
};

}  // namespace covey::server
