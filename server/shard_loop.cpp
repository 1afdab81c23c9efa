#include "server/shard_loop.h"

#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>

#include "replication/peer_messages.h"
#include "server/aggregate_peers.h"
#include "server/aggregator.h"
#include "server/client_connection.h"
#include "server/message_route.h"
#include "server/peer_link.h"
#include "server/text.h"
#include "storage/rocks_database.h"

namespace covey::server {
namespace {

namespace asio = boost::asio;

constexpr size_t mailbox_tasks_max = 65'536;
constexpr size_t pending_max = 65'536;          // the core's own limit, operations_max, is below it
constexpr uint64_t answer_bytes_max = 1 << 20;  // of values in answers that wait for a pass to end
constexpr uint64_t connection_check_us = 250'000;
constexpr auto tick_interval = std::chrono::milliseconds(10);

}  // namespace

ShardLoop::ShardLoop(NodeContext& node, uint32_t index)
    : node_(node),
      index_(index),
      mailbox_(io_, mailbox_tasks_max),
      sockets_(io_),
      ticker_(io_),
      feed_([this](std::vector<ColumnEvent>&& events) { node_.aggregator->push(index_, std::move(events)); },
            [this] {
              PartitionStates states;
              for (const PartitionView& view : core_->partitions(now()))
                states.emplace(view.partition, view.state_hash);
              return states;
            }) {}

ShardLoop::~ShardLoop() = default;

Result<Done, StoreError> ShardLoop::open(Database& database, const Identity& identity) {
  const Config& config = node_.config;
  store_ = database.shard([this] { durable_event(); });
  CoreOptions options;
  options.self = node_.self;
  options.partitions = config.partitions;
  options.replicas = config.replicas;
  options.shard = index_;
  options.shards = static_cast<uint32_t>(node_.shards.size());
  options.wait_for_durable = config.durability == Durability::sync;
  options.seed = node_.seed + index_;
  options.gossip_interval_us = config.gossip_interval_ms * 1000ull;
  options.suspect_after_us = config.suspect_ms * 1000ull;
  options.stand_in_bytes_max = config.stand_in_bytes_max / options.shards;
  options.log_entries_max = config.log_entries_max;
  options.elements_max = config.elements_max;
  options.elements_bytes_max = config.value_bytes_max;
  if (config.transfer_bytes_per_second != 0)
    options.transfer_bytes_per_second =
        std::max<uint64_t>(1, config.transfer_bytes_per_second / options.shards);
  options.detector = config.detector;
  options.feed = &feed_;
  if (node_.aggregator != nullptr) feed_.use_journal(node_.aggregator->journal());
  core_ = std::make_unique<Core>(options, *store_);
  auto started = core_->start(now(), identity, {});
  if (!started) return started.error();
  for (const TableConfig& table : config.tables) {
    bool known = false;
    for (const Table& other : core_->tables()) {
      if (other.name != table.name) continue;
      known = true;
      if (other.definition != table.definition && index_ == 0) {
        spdlog::warn(
            "table differs from the configuration, which is only used to make it name={} in_use={} "
            "configured={}",
            table.name, other.definition, table.definition);
      }
    }
    if (known) continue;
    auto parsed = parse_table_definition(std::string_view(table.definition));
    COVEY_ASSERT(parsed.ok());
    auto made = core_->declare_table({table.name, table.definition, parsed->conflicts});
    if (!made) return made.error();
  }
  if (index_ == 0) node_.departing = core_->standing() != Standing::member;
  refresh_tables();
  links_ = std::make_unique<PeerLinks>(*this);
  aggregate_peers_ = std::make_unique<AggregatePeers>(*this);
  return Done{};
}

void ShardLoop::begin() {
  asio::post(io_, [this] {
    links_->start();
    tick();
  });
}

void ShardLoop::stop() {
  asio::post(io_, [this] {
    ticker_.cancel();
    links_->stop();
    std::vector<ClientConnection*> all(connections_.begin(), connections_.end());
    for (ClientConnection* connection : all) connection->shared_from_this()->close();
    sockets_.stop();
    io_.stop();
  });
}

void ShardLoop::close_store() {
  pending_.clear();
  inputs_.clear();
  aggregate_peers_.reset();
  links_.reset();
  core_.reset();
  store_.reset();
}

// The sync thread calls this under a lock: it only leaves word, and once for all that gather.
void ShardLoop::durable_event() {
  if (durable_posted_.exchange(true)) return;
  asio::post(io_, [this] {
    durable_posted_ = false;
    const Lsn durable = store_->durable();
    const bool grown = std::exchange(durable_, durable) < durable;
    if (grown && unsynced_since_us_ != 0) {
      metrics_.durable_wait.add(now().tick_us - unsynced_since_us_);
      unsynced_since_us_ = 0;
    }
    step([this] { core_->durable(now()); });
  });
}

// Every input of the core goes through here.
template <class Action>
void ShardLoop::step(Action&& action) {
  action();
  fed_ = true;
  end_pass_later();
}

void ShardLoop::end_pass_later() {
  if (!std::exchange(end_posted_, true)) asio::post(io_, [this] { end_pass(); });
}

void ShardLoop::drain_core() {
  performing_ = true;
  do {
    fed_ = false;
    while (perform(core_->drain())) continue;
    // What answers led to, as much at once as keeps the answers that wait few.
    while (!inputs_.empty() && core_->answer_bytes() < answer_bytes_max) {
      Input input = std::move(inputs_.front());
      inputs_.pop_front();
      core_->request(now(), input.id, std::move(input.request));
      fed_ = true;
    }
  } while (!inputs_.empty() || core_->answer_bytes() >= answer_bytes_max);
  performing_ = false;
}

// Once all that was ready to run has run: what came together is one write to the store, and all that is sent
// to one receiver goes out together.
void ShardLoop::end_pass() {
  if (fed_) drain_core();
  std::vector<std::shared_ptr<Flushable>> unflushed;
  unflushed.swap(unflushed_);
  for (auto& flushable : unflushed) flushable->flush();
  end_posted_ = false;
  // Answers make connections read on: their next requests are in the core already.
  if (fed_ || !unflushed_.empty()) end_pass_later();
}

// true: the core was told of messages that there was no room for, and has more to say.
bool ShardLoop::perform(Output output) {
  std::vector<Output::Send> unsent;
  for (Output::Send& send : output.sends) {
    if (!links_->send(send.to, *send.message)) unsent.push_back(std::move(send));
  }
  for (Output::Answer& given : output.answers) answer(given, std::move(given.response));
  for (const std::string& alarm : output.alarms) {
    if (log_gate_.open(alarm)) spdlog::error("alarm: {}", alarm);
  }
  if (output.members_changed) {
    links_->members_changed();
    if (index_ == 0) node_.departing = core_->standing() != Standing::member;
  }
  for (const std::string& address : output.addresses) links_->dial_once(address);
  for (const Verdict& verdict : output.verdicts) tell(verdict);
  if (output.tables_changed) refresh_tables();
  for (const Output::Send& send : unsent) core_->unsent(now(), send.to, *send.message);
  return !unsent.empty();
}

// From shard 0's core to the others'.
void ShardLoop::tell(const Verdict& verdict) {
  const std::string text = "member is " + std::string(health_text(verdict.health)) +
                           " node=" + verdict.node.name +
                           " incarnation=" + std::to_string(verdict.incarnation);
  const bool news = verdict.node != node_.self.node && verdict.incarnation > 0;
  if (news && log_gate_.open(text))
    spdlog::log(verdict.health == Health::dead ? spdlog::level::warn : spdlog::level::info, "{}", text);
  for (ShardLoop* other : node_.shards) {
    if (other == this) continue;
    other->mailbox_.post([other, verdict] { other->step([&] { other->core_->learn(now(), verdict); }); });
  }
}

void ShardLoop::answer(const Output::Answer& given, Response&& response) {
  uint32_t place = static_cast<uint32_t>(given.id.value);
  uint32_t generation = static_cast<uint32_t>(given.id.value >> 32);
  COVEY_ASSERT(place < pending_.size() && pending_[place].generation == generation &&
               pending_[place].requester);
  Pending& pending = pending_[place];
  if (response.status == Status::storage_failed) ++metrics_.store_errors;
  auto requester = std::move(pending.requester);
  uint64_t tag = pending.tag;
  uint32_t home = pending.home;
  pending.requester.reset();
  ++pending.generation;
  pending_free_.push_back(place);
  --pending_count_;
  deliver(home, std::move(requester), tag, std::move(response));
}

void ShardLoop::deliver(uint32_t home, std::shared_ptr<Requester> requester, uint64_t tag,
                        Response&& response) {
  if (home == index_) {
    requester->answered(tag, std::move(response));
    return;
  }
  node_.shards[home]->mailbox_.post(
      [requester = std::move(requester), tag, response = std::move(response)]() mutable {
        requester->answered(tag, std::move(response));
      });
}

void ShardLoop::ask(Request&& request, std::shared_ptr<Requester> requester, uint64_t tag, ReadRow row) {
  if (request.operation != Operation::scan) {
    request.partition = partition_of(request.table, request.key, node_.config.partitions);
  }
  uint32_t owner = request.partition.value % static_cast<uint32_t>(node_.shards.size());
  if (owner == index_) {
    submit(std::move(request), std::move(requester), tag, index_, std::move(row));
    return;
  }
  ++metrics_.crossings;
  ShardLoop* other = node_.shards[owner];
  bool taken = other->mailbox_.offer(
      [other, home = index_, tag, requester, request = std::move(request), row = std::move(row)]() mutable {
        other->submit(std::move(request), std::move(requester), tag, home, std::move(row));
      });
  if (taken) return;
  ++metrics_.crossings_refused;
  Response refused;
  refused.status = Status::overloaded;
  requester->answered(tag, std::move(refused));
}

void ShardLoop::submit(Request&& request, std::shared_ptr<Requester> requester, uint64_t tag, uint32_t home,
                       ReadRow&& row) {
  if (pending_count_ >= pending_max) {
    Response refused;
    refused.status = Status::overloaded;
    deliver(home, std::move(requester), tag, std::move(refused));
    return;
  }
  if (pending_free_.empty()) {
    pending_free_.push_back(static_cast<uint32_t>(pending_.size()));
    pending_.emplace_back();
  }
  uint32_t place = pending_free_.back();
  pending_free_.pop_back();
  Pending& pending = pending_[place];
  pending.requester = std::move(requester);
  pending.tag = tag;
  pending.home = home;
  pending.operation = request.operation;
  ++pending_count_;
  feed_.expect(std::move(row));
  const bool writes = covey::writes(request.operation);
  if (writes && unsynced_since_us_ == 0) unsynced_since_us_ = now().tick_us;
  RequestId id{static_cast<uint64_t>(pending.generation) << 32 | place};
  if (performing_) {
    inputs_.push_back({id, std::move(request)});
    return;
  }
  step([&] { core_->request(now(), id, std::move(request)); });
  if (core_->answer_bytes() >= answer_bytes_max) drain_core();
}

void ShardLoop::dispatch(const NodeId& from, std::shared_ptr<const peer::Envelope> message) {
  uint32_t shards = static_cast<uint32_t>(node_.shards.size());
  Route route = route_of(*message, node_.config.partitions, shards);
  for (uint32_t shard = 0; shard < shards; ++shard) {
    if (!route.everywhere && route.shard != shard) continue;
    if (shard == index_) {
      receive(from, *message);
      continue;
    }
    ShardLoop* other = node_.shards[shard];
    bool taken = other->mailbox_.offer([other, from, message] { other->receive(from, *message); });
    if (!taken) ++metrics_.peer_messages_dropped_full;
  }
}

void ShardLoop::receive(const NodeId& from, const peer::Envelope& message) {
  if (message.has_aggregate_ask()) return aggregate_peers_->receive(from, message.aggregate_ask());
  if (message.has_aggregate_more()) return aggregate_peers_->receive(from, message.aggregate_more());
  if (message.has_aggregate_reply()) return aggregate_peers_->receive(from, message.aggregate_reply());
  step([&] { core_->receive(now(), from, message); });
}

void ShardLoop::met(const Member& member) {
  for (ShardLoop* shard : node_.shards) {
    shard->mailbox_.post([shard, member] {
      shard->step([&] { shard->core_->add_member(now(), member); });
      shard->links_->hurry(member.node);
    });
  }
}

void ShardLoop::link(const NodeId& peer, bool up, std::vector<Output::Send> unsent) {
  step([&] { core_->link(now(), peer, up, std::move(unsent)); });
}

void ShardLoop::refused(const NodeId& peer) {
  step([&] { core_->refused(now(), peer); });
}

const TableDefinition* ShardLoop::table(std::string_view name) const {
  auto found = tables_.find(name);
  return found == tables_.end() ? nullptr : &found->second;
}

void ShardLoop::refresh_tables() {
  tables_.clear();
  for (const Table& table : core_->tables()) {
    TableDefinition known;
    auto parsed = parse_table_definition(std::string_view(table.definition));
    if (parsed) known = std::move(*parsed);
    known.conflicts = table.conflicts;
    tables_.emplace(table.name, std::move(known));
  }
  if (!tables_.contains(default_table)) {
    auto parsed = parse_table_definition(std::string_view("{}"));
    COVEY_ASSERT(parsed.ok());
    tables_.emplace(default_table, std::move(*parsed));
  }
  feed_.define(tables_);
}

bool ShardLoop::linked(const NodeId& to) const { return links_->up(to); }

bool ShardLoop::linked_to_any() const { return links_->up() > 0; }

bool ShardLoop::send(const NodeId& to, peer::Envelope& message) {
  message.set_incarnation(core_->incarnation());
  message.set_shard(index_);
  return links_->send(to, message);
}

Result<Member, StoreError> ShardLoop::decide(const Member& member) {
  Result<Member, StoreError> result = member;
  step([&] { result = core_->decide(now(), member); });
  return result;
}

Result<Done, StoreError> ShardLoop::put_table(const Table& table) {
  Result<Done, StoreError> result = Done{};
  step([&] { result = core_->put_table(now(), table); });
  refresh_tables();
  return result;
}

Result<Done, StoreError> ShardLoop::drop_table(const std::string& name) {
  Result<Done, StoreError> result = Done{};
  step([&] { result = core_->drop_table(now(), name); });
  refresh_tables();
  return result;
}

void ShardLoop::refuse_writes(bool refuse) { core_->refuse_writes(refuse); }

void ShardLoop::tick() {
  Now time = now();
  if (time.wall_ms / 1000 != date_second_) {
    date_second_ = time.wall_ms / 1000;
    date_ = http_date(time.wall_ms);
  }
  step([&] { core_->tick(time); });
  check_connections(time);
  aggregate_peers_->tick();
  ticker_.expires_after(tick_interval);
  ticker_.async_wait([this](boost::system::error_code error) {
    if (!error) tick();
  });
}

void ShardLoop::check_connections(Now time) {
  if (time.tick_us - connections_checked_us_ < connection_check_us) return;
  connections_checked_us_ = time.tick_us;
  client_rates_.commands.sample(time.tick_us, metrics_.resp_commands);
  client_rates_.bytes_in.sample(time.tick_us, metrics_.resp_bytes_in);
  client_rates_.bytes_out.sample(time.tick_us, metrics_.resp_bytes_out);
  // They leave the set while they are looked at.
  std::vector<ClientConnection*> all(connections_.begin(), connections_.end());
  for (ClientConnection* connection : all) connection->shared_from_this()->check_time(time.tick_us);
}

void ShardLoop::drain_connections() {
  std::vector<ClientConnection*> all(connections_.begin(), connections_.end());
  for (ClientConnection* connection : all) connection->shared_from_this()->drain();
}

void ShardLoop::flush_later(std::shared_ptr<Flushable> flushable) {
  unflushed_.push_back(std::move(flushable));
  end_pass_later();
}

Metrics ShardLoop::collect() {
  Metrics out = metrics_;
  out.core = core_->stats();
  out.local_health = core_->local_health();
  out.operations_in_flight = core_->operations_in_flight();
  out.mailbox = mailbox_.size();
  out.peer_buffer_bytes = links_->buffered_bytes();
  out.peer_links_up = links_->up();
  Now time = now();
  for (const PartitionView& view : core_->partitions(time)) {
    out.objects += view.objects;
    out.object_bytes += view.bytes;
    out.stand_in_bytes += view.stands_in ? view.bytes : 0;
    out.log += view.log;
    out.residual += view.residual;
    out.held += view.held ? 1 : 0;
    out.not_ready += view.owned && !view.ready ? 1 : 0;
    if (view.diverged_since_us == 0) continue;
    ++out.diverged;
    uint64_t age = time.tick_us > view.diverged_since_us ? time.tick_us - view.diverged_since_us : 0;
    out.diverged_oldest_us = std::max(out.diverged_oldest_us, age);
  }
  return out;
}

}  // namespace covey::server
