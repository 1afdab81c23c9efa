// One request from its body to its answer, table by table: each partition is asked of one ready owner,
// another one if that fails, and the shares are merged on the aggregator's thread.
#include "server/aggregate_call.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <set>

#include "server/aggregate_merge.h"
#include "server/aggregate_owners.h"
#include "server/aggregate_peers.h"
#include "server/aggregate_reply.h"

namespace covey::server {
namespace {

constexpr auto look_every = std::chrono::milliseconds(25);
constexpr double retry_after_us = 50'000;  // columns that are being loaded are soon there

using Owners = AggregateOwners::Owners;

Owners owners_of_shard(ShardLoop& shard) {
  Owners out;
  const Now time = now();
  const uint32_t shards = static_cast<uint32_t>(shard.node().shards.size());
  for (uint32_t id = shard.index(); id < shard.node().config.partitions; id += shards)
    out[id] = shard.core().owners(time, PartitionId{id});
  return out;
}

class AggregateCall : public std::enable_shared_from_this<AggregateCall> {
 public:
  AggregateCall(std::shared_ptr<HttpConnection> connection, uint64_t slot)
      : connection_(std::move(connection)), slot_(slot), timer_(connection_->shard().io()) {}

  void start(const std::string& body) {
    auto request = parse_aggregate(body);
    if (!request) return fail(request.error());
    request_ = std::move(*request);
    end_us_ = begun_us_ + request_.timeout_ms * 1000.0;
    answers_.resize(request_.queries);
    notes_.partitions = connection_->shard().node().config.partitions;
    notes_.phases.parse = steady_us() - begun_us_;
    const double plan_us = steady_us();
    for (const TableQueries& queries : request_.tables) {
      if (auto error = add_part(queries)) return fail(*error);
    }
    notes_.phases.plan = steady_us() - plan_us;
    watch();
    begin_part();
  }

 private:
  struct Share {  // of the part under way, at one node
    NodeId node;
    AggregateRole role = AggregateRole::rows;
    std::vector<uint32_t> partitions;
    uint64_t operation = 0;  // 0: this node itself
    bool answered = false;
  };
  ShardLoop& shard() { return connection_->shard(); }

  std::optional<ErrorAnswer> add_part(const TableQueries& queries) {
    const TableDefinition* known = shard().table(queries.table);
    if (known == nullptr) return no_such_table(queries.table);
    AggregatePart part;
    part.queries = &queries;
    part.table = shard().column_feed().table(queries.table);
    if (!part.table) part.table = std::make_shared<const ColumnTable>(queries.table, *known);
    if (part.table->schema().columns.empty()) {
      ErrorAnswer error{404, "no_such_column", {}, {}};
      error.message = "The table " + queries.table +
                      " has no columns to aggregate: declare them with PUT /v1/tables/" + queries.table + ".";
      return error;
    }
    const agg::PlanOptions options{.siblings = request_.siblings};
    auto plan = agg::Plan::make(part.table->schema(), queries.queries, options);
    if (!plan) {
      for (const agg::Query& query : queries.queries) {
        auto alone = agg::Plan::make(part.table->schema(), {query}, options);
        if (!alone) return error_of(alone.error(), query.id);
      }
      return error_of(plan.error(), "");
    }
    part.plan = std::make_shared<const agg::Plan>(std::move(*plan));
    parts_.push_back(std::move(part));
    return std::nullopt;
  }

  // ---- one table

  void begin_part() {
    shares_.clear();
    refinement_.reset();
    merging_late_ = false;
    *gathered_bytes_ = 0;
    ++round_;
    gather<Owners>(shard(), owners_of_shard, [self = shared_from_this()](std::vector<Owners>&& all) {
      if (self->finished_) return;
      Owners owners;
      for (Owners& some : all) owners.merge(some);
      self->owners_ = AggregateOwners(std::move(owners), self->answers_wanted());
      self->scatter(self->owners_.all());
    });
  }

  // Of each partition.
  size_t answers_wanted() const {
    return request_.verify ? connection_->shard().node().config.replicas / 2 + 1 : 1;
  }

  void scatter(const std::vector<AggregateWant>& wants) {
    const double soon_us = steady_us() + retry_after_us;
    // What a later round needs it needs: whoever is away may come back in time.
    AggregateOwners::Next next = owners_.next(wants, soon_us < end_us_, refinement_.has_value());
    for (auto& [want, reason] : next.none) lack(want, std::move(reason));
    if (request_.all_partitions && (!notes_.missing.empty() || !notes_.unverified.empty())) return refuse();
    if (!next.later.empty()) retry_us_ = soon_us;
    retry_.insert(retry_.end(), next.later.begin(), next.later.end());
    for (AggregateOwners::Ask& one : next.asks) {
      ask(one.node, one.role, std::move(one.partitions));
      if (finished_) return;
    }
    merge_if_all();
  }

  void merge_if_all() {
    if (waiting() == 0 && retry_.empty()) merge();
  }

  void lack(const AggregateWant& want, std::string reason) {
    auto& list = want.role == AggregateRole::rows ? notes_.missing : notes_.unverified;
    list.emplace_back(want.partition, std::move(reason));
  }

  void ask(const NodeId& node, AggregateRole role, std::vector<uint32_t> ids) {
    const AggregatePart& part = parts_[part_];
    const size_t number = shares_.size();
    shares_.push_back({node, role, std::move(ids)});
    PartitionsAsk ask;
    ask.plan = part.plan;
    ask.table = part.table;
    ask.key_sets = part.queries->key_sets;
    ask.device = request_.device;
    ask.partitions = shares_[number].partitions;
    ask.refinement = refinement_;
    ask.witnessed = request_.verify;
    ask.witness_only = role == AggregateRole::witness;
    ask.until_us = end_us_;
    ask.cancellation = cancellation_;
    auto done = [self = shared_from_this(), number, round = round_](PartitionsAnswer&& answer) {
      if (!self->finished_ && self->round_ == round && !self->shares_[number].answered)
        self->answered(number, std::move(answer));
    };
    asked_us_ = steady_us();
    if (node == shard().node().self.node) return answer_partitions(shard(), std::move(ask), std::move(done));
    const auto left_ms = static_cast<uint32_t>(std::max(1.0, (end_us_ - steady_us()) / 1000));
    shares_[number].operation = shard().aggregate_peers().ask(
        node, ask, {part.queries->text, request_.siblings, left_ms, gathered_bytes_}, std::move(done));
    if (shares_[number].operation != 0) return;
    shard().mailbox().post([self = shared_from_this(), number, round = round_] {
      if (!self->finished_ && self->round_ == round && !self->shares_[number].answered)
        self->share_failed(number, "it can't be reached, or there is no room for more on the way to it");
    });
  }

  // Whether for each of the share's partitions another owner is left. An answer may have been lost on its
  // way.
  bool others_can(const Share& share) const {
    return std::all_of(share.partitions.begin(), share.partitions.end(),
                       [&](uint32_t id) { return owners_.others(id); });
  }

  size_t waiting() const {
    return static_cast<size_t>(
        std::count_if(shares_.begin(), shares_.end(), [](const Share& share) { return !share.answered; }));
  }

  void answered(size_t number, PartitionsAnswer&& answer) {
    Share& share = shares_[number];
    share.answered = true;
    if (answer.busy) return fail(too_busy());
    if (answer.error) return fail(error_of(*answer.error, ""));
    if (answer.lost) {
      share.answered = false;
      return share_failed(number, "what it answered was lost on the way");
    }
    std::vector<AggregateWant> again;
    for (const auto& [id, reason] : answer.unanswered) {
      if (reason == reason_loading) notes_.loading.insert(id);
      const AggregateWant want{id, share.role};
      owners_.failed(share.node, want, share.node.name + ": " + reason, reason == reason_loading);
      std::erase(share.partitions, id);
      again.push_back(want);
    }
    for (const PartitionWitness& witness : answer.witnesses) verdict_.add(share.node, witness);
    nodes_.insert(share.node);
    notes_.nodes = nodes_.size();
    take_notes(share, answer);
    if (share.role == AggregateRole::rows)
      gathered_.push_back({share.node == shard().node().self.node, std::move(answer)});
    if (!again.empty()) return scatter(again);
    merge_if_all();
  }

  // What the slowest, the last to answer, spent its time with; the rest was the network's.
  void take_notes(const Share& share, const PartitionsAnswer& answer) {
    const bool first = !refinement_ && share.role == AggregateRole::rows;
    notes_.conflicted_keys += first ? answer.conflicted_keys : 0;
    notes_.lag_ms = std::max(notes_.lag_ms, answer.lag_ms);
    notes_.stand_in_rows = std::max(notes_.stand_in_rows, answer.stand_in_rows);
    notes_.bytes_scanned += answer.profile.scan.bytes_scanned;
    notes_.shared_with = std::max(notes_.shared_with, answer.shared_with);
    notes_.device = answer.profile.device;
    notes_.reason = answer.profile.reason;
    if (waiting() > 0) return;
    const double passed_us = steady_us() - asked_us_;
    const agg::ScanProfile& scan = answer.profile.scan;
    if (answer.queue_us + answer.apply_us + scan.upload_us + scan.scan_us + scan.download_us + scan.merge_us >
        passed_us * 1.001)
      return;  // another machine's clock runs otherwise
    notes_.phases.queue += answer.queue_us;
    notes_.phases.apply += answer.apply_us;
    notes_.phases.upload += scan.upload_us;
    notes_.phases.scan += scan.scan_us;
    notes_.phases.download += scan.download_us;
    notes_.phases.merge += scan.merge_us;
  }

  void share_failed(size_t number, const std::string& reason) {
    Share& share = shares_[number];
    share.answered = true;
    if (share.operation != 0) shard().aggregate_peers().forget(share.operation);
    std::vector<AggregateWant> again;
    for (uint32_t id : std::exchange(share.partitions, {})) {
      again.push_back({id, share.role});
      owners_.failed(share.node, again.back(), share.node.name + ": " + reason, false);
    }
    scatter(again);
  }

  // ---- merging, on the aggregator's thread

  void merge() {
    if (request_.verify && !judge()) return;
    auto gathered = std::make_shared<std::vector<GatheredShare>>(std::exchange(gathered_, {}));
    AggregatePart& part = parts_[part_];
    if (!part.merged) part.merged = std::make_shared<agg::Partials>(*part.plan);
    ShardLoop& home = shard();
    auto task = [self = shared_from_this(), &home, gathered, part,
                 refinement = refinement_](Aggregator::Turn& turn) mutable {
      auto merged = std::make_shared<MergedShares>(merge_shares(part, refinement, *gathered));
      merged->queue_us = turn.queue_us + turn.apply_us;
      home.mailbox().post([self = std::move(self), merged] { self->merged(std::move(*merged)); });
    };
    if (!home.node().aggregator->submit(std::move(task))) fail(too_busy());
  }

  void merged(MergedShares&& merged) {
    if (finished_) return;
    notes_.phases.queue += merged.queue_us;
    notes_.phases.merge += merged.merge_us;
    notes_.phases.encode += merged.encode_us;
    if (merged.error) return fail(*merged.error);
    if (merged.refinement) return refine(std::move(*merged.refinement));
    const TableQueries& queries = *parts_[part_].queries;
    for (size_t i = 0; i < queries.places.size(); ++i)
      answers_[queries.places[i]] = std::move(merged.answers[i]);
    if (++part_ < parts_.size()) return begin_part();
    reply();
  }

  // false: owners that must agree do not, or too few were compared.
  bool judge() {
    verdict_.end_round(answers_wanted());
    if (!verdict_.broken().empty()) {
      shard().metrics().aggregate_replicas_differ += verdict_.broken().size();
      const ErrorAnswer error = replicas_differ(verdict_);
      spdlog::error("{} table={}{}", error.message, parts_[part_].table->name(), error.details);
      fail(error);
      return false;
    }
    for (uint32_t id : verdict_.unverified()) lack({id, AggregateRole::witness}, "too few owners answered");
    sort_missing();
    if (!request_.all_partitions || notes_.unverified.empty()) return true;
    refuse();
    return false;
  }

  // Another pass over the same partitions, first by those who answered the first.
  void refine(agg::Refinement refinement) {
    refinement_ = std::move(refinement);
    ++round_;
    *gathered_bytes_ = 0;
    auto before = std::exchange(shares_, {});
    std::vector<std::pair<NodeId, AggregateWant>> answered;
    for (const Share& share : before) {
      for (uint32_t id : share.partitions) answered.push_back({share.node, {id, share.role}});
    }
    owners_.begin_round(answered);
    for (Share& share : before) {
      if (!share.partitions.empty() && !finished_) ask(share.node, share.role, std::move(share.partitions));
    }
    if (!finished_) merge_if_all();
  }

  // ---- the end

  void reply() {
    std::string body = "{\"results\":[";
    for (size_t i = 0; i < answers_.size(); ++i) {
      if (i > 0) body.push_back(',');
      body.append(answers_[i]);
    }
    body.push_back(']');
    sort_missing();
    append_notes(body, notes_);
    if (request_.verify) append_verified(body, verdict_, notes_, answers_wanted());
    if (request_.profile) append_profile(body, notes_, steady_us() - begun_us_);
    body.append("}\n");
    end();
    connection_->reply(slot_, ReplyHead{}, body);
  }

  void sort_missing() {
    for (auto* list : {&notes_.missing, &notes_.unverified}) {
      std::sort(list->begin(), list->end());
      auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
      list->erase(std::unique(list->begin(), list->end(), same), list->end());
    }
    std::erase_if(notes_.unverified, [&](const auto& one) {
      return std::any_of(notes_.missing.begin(), notes_.missing.end(),
                         [&](const auto& other) { return other.first == one.first; });
    });
  }

  static ErrorAnswer too_busy() {
    return overloaded("Too much waits for the columns of a node: send the request again later.");
  }
  static ErrorAnswer unavailable(std::string message) { return {503, "unavailable", std::move(message), {}}; }

  void refuse() {
    sort_missing();
    const bool few = notes_.missing.empty();
    if (few) notes_.missing = notes_.unverified;
    const bool memory = std::any_of(notes_.missing.begin(), notes_.missing.end(), [](const auto& one) {
      return one.second.find(too_little_memory) != std::string::npos;
    });
    ErrorAnswer error = unavailable(
        std::to_string(notes_.missing.size()) + " of " + std::to_string(notes_.partitions) +
        " partitions can't be " + (few ? "compared between enough owners" : "answered") +
        (memory ? ": raise aggregation.memory_mb on the nodes in reasons, or ask for fewer columns "
                  "at a time."
                : ": try again when their owners are back, or ask with \"coverage\": "
                  "\"available\"."));
    append_missing(error.details, notes_);
    fail(error);
  }

  void out_of_time() {
    for (Share& share : shares_) {
      if (share.answered) continue;
      for (uint32_t id : share.partitions) lack({id, share.role}, share.node.name + ": no answer in time");
      if (share.operation != 0) shard().aggregate_peers().forget(share.operation);
      share.partitions.clear();
      share.answered = true;
    }
    for (const AggregateWant& want : std::exchange(retry_, {})) lack(want, owners_.reason(want.partition));
    const bool lacking = !notes_.missing.empty() || !notes_.unverified.empty();
    if (!request_.all_partitions && !refinement_ && lacking && !merging_late_) {
      merging_late_ = true;
      return merge();
    }
    if (merging_late_) return;
    notes_.missing.insert(notes_.missing.end(), notes_.unverified.begin(), notes_.unverified.end());
    sort_missing();
    ErrorAnswer error{
        504,
        "timeout",
        std::to_string(notes_.missing.size()) + " of " + std::to_string(notes_.partitions) +
            " partitions were not answered in time: try again with a longer timeout_ms, or ask with "
            "\"coverage\": \"available\".",
        {}};
    append_missing(error.details, notes_);
    fail(error);
  }

  void fail(const ErrorAnswer& error) {
    if (finished_) return;
    end();
    connection_->reply(slot_, error);
  }

  void end() {
    finished_ = true;
    cancellation_->cancel();
    timer_.cancel();
    for (const Share& share : shares_) {
      if (!share.answered && share.operation != 0) shard().aggregate_peers().forget(share.operation);
    }
  }

  // Now and then: whether somebody still waits, the time is over, a node that was asked is gone.
  void watch() {
    timer_.expires_after(look_every);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (error || self->finished_) return;
      self->look();
      if (!self->finished_) self->watch();
    });
  }

  void look() {
    if (connection_->gone(slot_)) return end();
    if (steady_us() >= end_us_) return out_of_time();
    std::map<NodeId, MemberState> states;
    for (const MemberView& view : shard().core().members(now())) states[view.member.node] = view.state;
    owners_.observe(states);
    for (size_t i = 0; i < shares_.size() && !finished_; ++i) {
      if (shares_[i].answered) continue;
      if (!reachable(states[shares_[i].node])) {
        share_failed(i, "it stopped answering");
      } else if (steady_us() > (begun_us_ + end_us_) / 2 && others_can(shares_[i])) {
        share_failed(i, "no answer in half the time");
      }
    }
    if (!finished_ && !retry_.empty() && steady_us() >= retry_us_) scatter(std::exchange(retry_, {}));
  }

  std::shared_ptr<HttpConnection> connection_;
  const uint64_t slot_;
  boost::asio::steady_timer timer_;
  const double begun_us_ = steady_us();
  double end_us_ = 0;
  AggregateRequest request_;
  std::vector<AggregatePart> parts_;
  size_t part_ = 0;  // under way
  AggregateOwners owners_;
  AggregateVerdict verdict_;
  std::set<NodeId> nodes_;  // that have answered
  std::vector<Share> shares_;
  std::vector<GatheredShare> gathered_;
  std::shared_ptr<size_t> gathered_bytes_ = std::make_shared<size_t>(0);  // of other nodes, in this round
  std::vector<AggregateWant> retry_;
  double retry_us_ = 0;
  double asked_us_ = 0;
  std::optional<agg::Refinement> refinement_;  // of the round under way
  uint64_t round_ = 0;
  std::vector<std::string> answers_;  // by query
  AggregateNotes notes_;
  std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
  bool merging_late_ = false;
  bool finished_ = false;
};

}  // namespace

void start_aggregate(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& body) {
  std::make_shared<AggregateCall>(connection, slot)->start(body);
}

}  // namespace covey::server
