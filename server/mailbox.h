// How work crosses from one shard's thread to another's: a queue that is emptied in batches, with one wake-up
// for all that gathered meanwhile.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

namespace covey::server {

class Mailbox {
 public:
  using Task = std::function<void()>;

  // Tasks run on io's thread. limit: of tasks that offer() lets wait.
  Mailbox(boost::asio::io_context& io, size_t limit) : io_(io), limit_(limit) {}

  // From any thread. For what is bounded elsewhere: answers to requests, control.
  void post(Task task);
  // From any thread. false: the queue is full and the task was not taken.
  [[nodiscard]] bool offer(Task task);
  size_t size() const;

 private:
  void push(Task task, std::unique_lock<std::mutex>& lock);
  void run();

  boost::asio::io_context& io_;
  const size_t limit_;
  mutable std::mutex mutex_;
  std::vector<Task> tasks_;    // guarded by mutex_
  bool woken_ = false;         // guarded by mutex_: run() is on its way
  std::vector<Task> running_;  // io's thread
};

}  // namespace covey::server
