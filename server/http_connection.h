// A connection that speaks HTTP: keeps the answers to its requests in order. Several pipelined requests are
// read at once and answered with one write. What a request means is the router's business.
//
// Limits and what happens at them: requests_max requests, or body_bytes_max bytes of their bodies, that are
// not answered yet, or held_answers_max bytes of answers behind one that takes longer: no more is read until
// there is room. A value that has no room there, or behind answers that the client does not take, is read
// again when its turn has come and there is room. A client that is silent within a header for 10 s, or within
// a body, or between requests for 30 s, is disconnected.
//
// Used by one shard's thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/client_connection.h"
#include "server/http_parser.h"

namespace covey::server {

// What the answer to a read, write or delete must know of its request.
struct KeyCall {
  Operation operation = Operation::get;
  Level level;
  std::string table;
  std::string key;
  bool as_document = false;  // Accept: application/vnd.covey+json
  // Of a read, to ask once more.
  bool sloppy = true;
  uint32_t timeout_ms = 0;
  Conflicts conflicts = Conflicts::siblings;
};

// Extra header lines, each ending in "\r\n".
struct ReplyHead {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string_view headers = {};
};

class HttpConnection : public Requester, public ClientConnection {
 public:
  // As ClientConnection.
  HttpConnection(ShardLoop& shard, boost::asio::ip::tcp::socket socket, std::atomic<size_t>& count);
  ~HttpConnection() override;

  // There are too many: says so, whatever the client asks, and closes.
  void refuse();
  void drain() override;

  // Answering. A slot is one request's place in the order; calls for a slot that has ended, or on a
  // connection that is closed, do nothing.
  KeyCall* key_call(uint64_t slot);  // nullptr: the slot is gone
  void reply(uint64_t slot, const ReplyHead& head, std::string_view body);
  void reply(uint64_t slot, const ErrorAnswer& error, std::string_view headers = {});
  // An answer of unknown length, chunked where the client speaks HTTP/1.1.
  void begin_stream(uint64_t slot, const ReplyHead& head);
  void write_stream(uint64_t slot, std::string_view bytes);
  void end_stream(uint64_t slot);
  bool gone(uint64_t slot) const;     // nobody waits for this answer any more
  bool is_full(uint64_t slot) const;  // there is no room for more of this answer
  // Whether a streaming answer should pause; `resume` is then called once when there is room, or never if the
  // connection ends.
  bool should_pause(uint64_t slot, std::function<void()> resume);
  void meter(uint64_t slot, MeteredOperation operation, Level level);
  void meter(uint64_t slot, MeteredOperation operation);

  void answered(uint64_t slot, Response&& response) override;  // of a KeyCall
  void check_time(uint64_t now_us) override;

 private:
  struct Slot {
    std::string bytes;      // of its answer, while another one goes first
    size_t held_bytes = 0;  // so many of them are counted in held_bytes_
    bool again = false;     // its answer had no room: to be asked for again
    KeyCall call;
    uint64_t begun_us = 0;
    size_t body_bytes = 0;  // of its request
    int status = 0;
    MeteredOperation operation = MeteredOperation::other;
    Level level;
    bool has_level = false;
    bool complete = false;
    bool head_only = false;
    bool keep_alive = true;
    bool chunked = false;
    std::function<void()> resume;
  };

  bool idle() const override { return slots_.empty(); }
  bool has_room() const override;
  void parse_input() override;
  void sent_all() override;
  void forget_requests() override;
  std::shared_ptr<HttpConnection> self();
  void refuse_with(const ErrorAnswer& error);
  void take_request();
  void fail_request();
  Slot& add_slot();
  Slot* find(uint64_t slot);
  const Slot* find(uint64_t slot) const;
  std::string& sink(uint64_t slot);
  void count_held(uint64_t slot);
  void ask_for_first_again();
  bool has_no_room(uint64_t slot, const KeyCall& call, const Response& response) const;
  void write_head(std::string& out, const Slot& slot, const ReplyHead& head);
  void complete(uint64_t slot);

  HttpParser parser_;
  std::deque<Slot> slots_;
  uint64_t first_slot_ = 1;
  size_t body_bytes_ = 0;         // of the slots' requests
  size_t held_bytes_ = 0;         // of the slots' answers
  uint64_t header_since_us_ = 0;  // 0: no header under way
};

}  // namespace covey::server
