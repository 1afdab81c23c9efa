#include "server/mailbox.h"

#include <boost/asio/post.hpp>

namespace covey::server {

void Mailbox::post(Task task) {
  std::unique_lock lock(mutex_);
  push(std::move(task), lock);
}

bool Mailbox::offer(Task task) {
  std::unique_lock lock(mutex_);
  if (tasks_.size() >= limit_) return false;
  push(std::move(task), lock);
  return true;
}

size_t Mailbox::size() const {
  std::unique_lock lock(mutex_);
  return tasks_.size();
}

void Mailbox::push(Task task, std::unique_lock<std::mutex>& lock) {
  tasks_.push_back(std::move(task));
  if (woken_) return;
  woken_ = true;
  lock.unlock();
  boost::asio::post(io_, [this] { run(); });
}

void Mailbox::run() {
  {
    std::unique_lock lock(mutex_);
    running_.swap(tasks_);
    woken_ = false;
  }
  for (Task& task : running_) task();
  running_.clear();
}

}  // namespace covey::server
