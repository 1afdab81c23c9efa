// A client's connection, whatever protocol it speaks: reads what comes, writes what is ready, and ends in
// order or when it has been silent for too long. What the bytes mean is the derived class's business.
//
// Limits and what happens at them: while the derived class has no room, or unsent_bytes_max bytes are not
// taken by the client, no more is read. A client that is silent for 30 s, unless it waits for an answer or
// may rest, is disconnected.
//
// Used by one shard's thread.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/ready_sockets.h"
#include "server/shard_loop.h"

namespace covey::server {

class ClientConnection : public Flushable,
                         public ReadySockets::Watcher,
                         public std::enable_shared_from_this<ClientConnection> {
 public:
  // Of a protocol. The counters are the shard's own.
  struct Traits {
    uint64_t& bytes_in;
    uint64_t& bytes_out;
    size_t input_bytes_max;  // the parser takes, or refuses, what has come before there are so many
  };
  // On any thread; the first thing for the shard's own is start() or the derived class's refuse(). `count`
  // has counted this connection and is told when it closes; it outlives it.
  ClientConnection(ShardLoop& shard, boost::asio::ip::tcp::socket socket, std::atomic<size_t>& count,
                   Traits traits);
  ~ClientConnection() override;

  void start();
  void close();
  // Closes it as soon as the answers under way are written, or nothing has come for a moment: the node is
  // going down.
  virtual void drain() = 0;
  // Called a few times a second: ends what has waited too long.
  virtual void check_time(uint64_t now_us);
  void flush() override;

  ShardLoop& shard() { return shard_; }
  // In a list of clients: its number there, 0 for one that is in none, and what is told of it.
  virtual uint64_t client_id() const { return 0; }
  virtual std::string line() const { return {}; }

 protected:
  // What the derived class says of itself.
  virtual bool idle() const = 0;                   // no request is under way
  virtual bool has_room() const = 0;               // for what would be read
  virtual bool may_rest() const { return false; }  // silence is no reason to end it
  virtual void parse_input() = 0;                  // takes from input() what it can
  virtual void sent_all() {}                       // all that there was is with the system
  virtual void forget_requests() = 0;              // it is closed: nobody waits for their answers any more

  void join_shard();  // start() without reading
  std::string_view input() const { return {input_.data() + input_begin_, input_end_ - input_begin_}; }
  void took(size_t bytes) { input_begin_ += bytes; }  // of input()
  std::string& output() { return out_; }              // whoever adds to it asks to flush
  void flush_soon();
  void resume_parsing();     // later, when there is room again
  bool output_full() const;  // the client does not take its answers
  size_t unsent() const { return out_.size() + writing_.size() - written_; }
  void end_after_answers() { ending_ = true; }
  // No more is parsed; the connection ends when its answers are written.
  bool ending() const { return ending_; }
  bool closed() const { return closed_; }
  bool lingering() const { return lingering_; }
  bool parsing() const { return parsing_; }
  uint64_t last_progress_us() const { return last_progress_us_; }
  // nullopt: it is not connected any more.
  std::optional<boost::asio::ip::tcp::endpoint> peer_endpoint() const;
  std::optional<boost::asio::ip::tcp::endpoint> own_endpoint() const;

 private:
  void socket_ready(Ready ready) override;
  void read();
  void input_ended();
  void parse();
  ssize_t send(std::string_view bytes);
  void write_rest();
  void wrote();
  void linger();
  void touch();

  ShardLoop& shard_;
  boost::asio::ip::tcp::socket accepted_;  // until it has joined the shard
  int socket_ = -1;                        // then
  std::optional<uint64_t> watched_;
  std::shared_ptr<ClientConnection> self_;  // from joining to closing
  std::atomic<size_t>& count_;
  Traits traits_;
  std::vector<char> input_;
  size_t input_begin_ = 0, input_end_ = 0;
  std::string out_;                // bytes in order, not yet handed to the system
  std::string writing_;            // bytes that the system takes only in part: a write is under way
  size_t written_ = 0;             // of writing_
  uint64_t last_progress_us_ = 0;  // a byte came or went
  bool readable_ = false;          // there may be something to read
  bool input_ended_ = false;       // behind that is the end
  bool stalled_ = false;           // no more is read until there is room
  bool parsing_ = false;
  bool resuming_ = false;
  bool flush_asked_ = false;
  bool ending_ = false;
  bool lingering_ = false;  // all is written and our side is shut; the client's bytes are thrown away
  bool closed_ = false;
};

}  // namespace covey::server
