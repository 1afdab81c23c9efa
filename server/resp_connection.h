// A connection of a Redis client: reads commands, keeps their answers in order, writes what is ready. What a
// command means is resp_commands' business.
//
// Several pipelined commands are under way at once, but those that name the same key run one after the other
// if one of them writes, and a command with several keys runs alone: what a client has sent first is seen by
// what it sent next, as in Redis.
//
// Limits and what happens at them: commands_max commands under way, or request_bytes_max bytes of them,
// unsent_bytes_max bytes that the client does not take, or held_bytes_max bytes of answers behind one that
// takes longer: no more is read until there is room. A client that is silent within a command or before it
// has authenticated, or does not take its answers, for 30 s is disconnected; between commands it may rest.
//
// Used by one shard's thread.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/client_connection.h"
#include "server/resp_parser.h"
#include "server/shard_loop.h"

namespace covey::server {

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

class RespConnection : public Flushable,
                       public ClientConnection,
                       public std::enable_shared_from_this<RespConnection> {
 public:
  // As HttpConnection.
  RespConnection(ShardLoop& shard, boost::asio::ip::tcp::socket socket, std::atomic<size_t>& count);
  ~RespConnection() override;

  void start();
  // There are too many: says so, and closes.
  void refuse();

  std::shared_ptr<ClientConnection> hold() override { return shared_from_this(); }
  void drain() override;
  void close() override;
  void check_time(uint64_t now_us) override;
  void flush() override;

  ShardLoop& shard() { return shard_; }
  RespSession& session() { return session_; }
  void reset_session();  // as it was when the connection began, but for its id
  std::string peer_address() const;
  std::string own_address() const;

  // A slot is one command's place in the order; for one that has ended, or on a connection that is closed,
  // reply() does nothing.
  void reply(uint64_t slot, RespReply&& reply);
  bool gone(uint64_t slot) const;  // nobody waits for this answer any more
  void end_after_this();           // no more commands: closes when the answers so far are written

 private:
  struct Slot {
    std::string bytes;  // of its answer, while another one goes first
    const RespCommand* command = nullptr;
    uint64_t key_hash = 0;
    uint64_t begun_us = 0;
    size_t request_bytes = 0;
    bool complete = false;
  };
  struct Waiting {  // has been read and can't begin yet
    std::vector<std::string> words;
    const RespCommand* command = nullptr;  // nullptr: none of this name
    uint64_t key_hash = 0;
    size_t bytes = 0;
  };

  void begin();
  void read();
  void on_read(boost::system::error_code error, size_t count);
  void parse();
  bool parse_command();
  bool may_begin(const Waiting& waiting) const;
  void begin_command();
  void refuse_with(std::string_view error);
  void resume_parsing();
  void write_rest();
  void wrote();
  void linger();
  bool blocked() const;
  size_t unsent() const;
  void touch();
  void ask_to_flush();

  ShardLoop& shard_;
  boost::asio::ip::tcp::socket socket_;
  std::atomic<size_t>& count_;
  RespSession session_;
  RespParser parser_;
  std::vector<char> input_;
  size_t input_begin_ = 0, input_end_ = 0;
  std::optional<Waiting> waiting_;
  std::deque<Slot> slots_;
  uint64_t first_slot_ = 1;
  std::string out_;           // bytes in order, not yet handed to the system
  std::string writing_;       // bytes that the system takes only in part: an asynchronous write is under way
  size_t written_ = 0;        // of writing_
  size_t under_way_ = 0;      // slots that are not complete
  size_t request_bytes_ = 0;  // of the slots
  size_t held_bytes_ = 0;     // of the slots' answers
  uint64_t last_progress_us_ = 0;  // a byte came or went
  bool reading_ = false;
  bool parsing_ = false;
  bool flush_asked_ = false;
  bool resuming_ = false;
  bool last_command_seen_ = false;  // no more are parsed; the connection ends when its answers are written
  bool lingering_ = false;          // all is written and our side is shut; the client's bytes are thrown away
  bool closed_ = false;
};

}  // namespace covey::server
