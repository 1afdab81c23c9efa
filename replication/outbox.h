// Collects what a step gives out, and holds back what promises durability until the store has told it. The
// one place where "never acknowledge what is not durable" is kept.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "replication/core.h"
#include "replication/peer_messages.h"

namespace covey {

class Outbox {
 public:
  Outbox(bool wait_for_durable, uint32_t shard) : wait_for_durable_(wait_for_durable), shard_(shard) {}

  void set_incarnation(uint64_t incarnation) { incarnation_ = incarnation; }

  // A fresh message to fill in; sent with the next drain.
  peer::Envelope& to(const NodeId& node) {
    output_.sends.push_back({node, make()});
    return *output_.sends.back().message;
  }

  // One for several. REQUIRES: not empty
  peer::Envelope& to_each(const std::vector<NodeId>& nodes) {
    const std::shared_ptr<peer::Envelope> message = make();
    for (const NodeId& node : nodes) output_.sends.push_back({node, message});
    return *message;
  }

  // The same as to(), sent once `lsn` is durable (at once in the modes that do not wait).
  peer::Envelope& to_after(const NodeId& node, Lsn lsn, Lsn durable) {
    if (!wait_for_durable_ || lsn <= durable) return to(node);
    held_.push_back({lsn, {node, make()}});
    return *held_.back().send.message;
  }

  void answer(RequestId id, Response&& response) {
    answer_bytes_ += value_bytes(response.object);
    for (const auto& [key, row] : response.rows) answer_bytes_ += key.size() + value_bytes(row);
    Output::Answer& answer = output_.answers.emplace_back();
    answer.id = id;
    answer.response = std::move(response);
  }
  uint64_t answer_bytes() const { return answer_bytes_; }
  void alarm(std::string text) {
    if (output_.alarms.size() < alarms_max) output_.alarms.push_back(std::move(text));
  }
  void members_changed() { output_.members_changed = true; }
  void worth_dialing(const std::string& address) {
    if (output_.addresses.size() < addresses_max) output_.addresses.push_back(address);
  }
  void tables_changed() { output_.tables_changed = true; }
  void verdict(const Verdict& verdict) { output_.verdicts.push_back(verdict); }

  void release(Lsn durable) {
    // Lsns were taken in rising order, but for messages about older writes: those wait a little longer.
    while (!held_.empty() && held_.front().lsn <= durable) {
      output_.sends.push_back(std::move(held_.front().send));
      held_.pop_front();
    }
  }

  // Takes back the forwarded requests for the node that no drain has given yet.
  std::vector<Output::Send> withdraw_forwards(const NodeId& node) {
    const auto concerned = std::stable_partition(
        output_.sends.begin(), output_.sends.end(),
        [&](const Output::Send& send) { return send.to != node || !send.message->has_forward(); });
    std::vector<Output::Send> withdrawn;
    for (auto at = concerned; at != output_.sends.end(); ++at) withdrawn.push_back(std::move(*at));
    output_.sends.erase(concerned, output_.sends.end());
    return withdrawn;
  }

  bool waits_for_durable() const { return wait_for_durable_; }
  size_t held() const { return held_.size(); }
  Output drain() {
    answer_bytes_ = 0;
    Output output = std::exchange(output_, {});
    // The next are likely to be as many.
    output_.answers.reserve(std::min(output.answers.size(), reserved_max));
    output_.sends.reserve(std::min(output.sends.size(), reserved_max));
    return output;
  }

 private:
  static constexpr size_t reserved_max = 1'024;
  static constexpr size_t alarms_max = 100;    // a drain; what is beyond is in the metrics alone
  static constexpr size_t addresses_max = 16;  // likewise; others will be told again
  struct Held {
    Lsn lsn;
    Output::Send send;
  };
  std::shared_ptr<peer::Envelope> make() const {
    auto message = std::make_shared<peer::Envelope>();
    message->set_incarnation(incarnation_);
    message->set_shard(shard_);
    return message;
  }
  bool wait_for_durable_;
  uint32_t shard_;
  uint64_t incarnation_ = 0;
  Output output_;
  uint64_t answer_bytes_ = 0;  // of what values they carry
  std::deque<Held> held_;
};

}  // namespace covey
