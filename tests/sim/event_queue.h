// What is going to happen, by virtual time; at the same time in the order in which it was said.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace covey::sim {

class EventQueue {
 public:
  uint64_t now_us() const { return now_us_; }
  bool empty() const { return events_.empty(); }
  uint64_t next_us() const { return events_.front().at_us; }  // REQUIRES !empty()

  void at(uint64_t at_us, std::function<void()> action) {
    events_.push_back({at_us < now_us_ ? now_us_ : at_us, sequence_++, std::move(action)});
    std::push_heap(events_.begin(), events_.end(), later);
  }
  void after(uint64_t delay_us, std::function<void()> action) { at(now_us_ + delay_us, std::move(action)); }

  void run_next() {
    std::pop_heap(events_.begin(), events_.end(), later);
    Event event = std::move(events_.back());
    events_.pop_back();
    now_us_ = event.at_us;
    event.action();
  }
  // Moves the clock on. REQUIRES: no event before that.
  void advance_to(uint64_t at_us) { now_us_ = at_us; }

 private:
  struct Event {
    uint64_t at_us;
    uint64_t sequence;
    std::function<void()> action;
  };
  static bool later(const Event& a, const Event& b) {
    return a.at_us != b.at_us ? a.at_us > b.at_us : a.sequence > b.sequence;
  }
  std::vector<Event> events_;
  uint64_t now_us_ = 0;
  uint64_t sequence_ = 0;
};

}  // namespace covey::sim
