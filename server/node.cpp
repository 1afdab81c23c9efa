#include "server/node.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <filesystem>

#include "server/connect.h"
#include "server/http_connection.h"
#include "server/peer_session.h"
#include "server/resp_connection.h"

namespace covey::server {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr auto drain_time_max = std::chrono::seconds(5);
constexpr size_t refusals_max = 256;
constexpr uint64_t aggregation_waiting_bytes = uint64_t{256} << 20;  // changes on their way to columns
constexpr auto accept_pause = std::chrono::milliseconds(100);
constexpr auto farewell_time = std::chrono::seconds(2);  // for the others to hear that this node is gone
constexpr auto disk_interval = std::chrono::seconds(1);

struct Listening {
  std::unique_ptr<tcp::acceptor> acceptor;
  std::string failure;  // if there is none
};

Listening listen_at(asio::io_context& io, const std::string& address) {
  auto host_port = parse_host_port(address);
  if (!host_port) return {nullptr, "\"" + address + "\" is not an address"};
  boost::system::error_code error;
  auto host = asio::ip::make_address(host_port->host, error);
  if (error) {
    tcp::resolver resolver(io);
    auto found = resolver.resolve(host_port->host, "", error);
    if (error || found.empty()) return {nullptr, "can't listen at " + address + ": the name is not found"};
    host = found.begin()->endpoint().address();
  }
  tcp::endpoint endpoint(host, host_port->port);
  auto acceptor = std::make_unique<tcp::acceptor>(io);
  acceptor->open(endpoint.protocol(), error);
  if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor->bind(endpoint, error);
  if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
  if (error) return {nullptr, "can't listen at " + address + ": " + error.message()};
  return {std::move(acceptor), {}};
}

// With the port that the system chose where the configuration left it open.
std::string bound_address(const std::string& configured, const tcp::acceptor& acceptor) {
  size_t colon = configured.rfind(':');
  return configured.substr(0, colon + 1) + std::to_string(acceptor.local_endpoint().port());
}

std::string hexadecimal(uint64_t bits) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(bits));
  return text;
}

}  // namespace

Node::Node(Config config) {
  context_.config = std::move(config);
  const Config& in_use = context_.config;
  context_.token = token_key(in_use.cluster_secret.empty() ? in_use.cluster_name : in_use.cluster_secret);
  context_.seed = random_bits();
  context_.instance = hexadecimal(random_bits()) + hexadecimal(random_bits());
  context_.started_us = now().tick_us;
}

Node::~Node() {
  for (auto& shard : shards_) shard->stop();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  http_ = {};
  resp_ = {};
  peer_.reset();
  backups_.reset();
  aggregator_.reset();
  for (auto& shard : shards_) shard->close_store();
}

Result<std::unique_ptr<Node>, std::string> Node::open(Config config) {
  std::unique_ptr<Node> node(new Node(std::move(config)));
  for (uint32_t i = 0; i < node->context_.config.threads; ++i) {
    node->shards_.push_back(std::make_unique<ShardLoop>(node->context_, i));
    node->context_.shards.push_back(node->shards_.back().get());
  }
  if (auto failed = node->open_directory()) return *failed;
  if (auto failed = node->listen()) return *failed;
  auto failed = node->open_shards();
  if (failed && failed->kind == StoreError::Kind::corruption && node->context_.config.replicas > 1) {
    // Tables that open and can't be read.
    node->backups_.reset();
    node->aggregator_.reset();
    for (auto& shard : node->shards_) shard->close_store();
    node->directory_.reset();
    if (auto kept = node->keep_damaged(failed->message)) return *kept;
    if (auto again = node->open_directory()) return *again;
    failed = node->open_shards();
  }
  if (failed) return "storage can't be read: " + failed->message;
  return node;
}

// Nothing is cut short in silence: the damaged files are kept, and the other replicas fill this node again.
std::optional<std::string> Node::keep_damaged(const std::string& what) {
  spdlog::error("storage is damaged: {}", what);
  auto aside = set_aside_damaged(context_.config.data_dir);
  if (!aside) return aside.error().message;
  spdlog::error("damaged data was set aside and is filled again from the other replicas path={}", *aside);
  return std::nullopt;
}

std::optional<std::string> Node::open_directory() {
  const Config& config = context_.config;
  std::error_code failed;
  std::filesystem::path path(config.data_dir);
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), failed);
  if (failed) return "the directory " + path.parent_path().string() + " can't be made: " + failed.message();
  DataDirectoryOptions options;
  options.path = config.data_dir;
  options.cluster = config.cluster_name;
  options.node = config.node;
  options.new_life = random_bits();
  options.database.durability = config.durability;
  options.database.on_damage = [this](const std::string& what) { damage_.tell(what); };
  options.database.interval_ms = config.sync_interval_ms;
  options.database.block_cache_bytes = config.cache_bytes;
  options.database.object_cache_bytes = config.object_cache_bytes / config.threads;
  options.database.write_buffer_bytes = config.write_buffer_bytes;
  auto opened = DataDirectory::open(options);
  if (!opened && opened.error().kind == DirectoryError::Kind::corrupt && config.replicas > 1) {
    if (auto failed_to_keep = keep_damaged(opened.error().message)) return failed_to_keep;
    opened = DataDirectory::open(options);
  }
  if (!opened) return opened.error().message;
  directory_ = std::move(*opened);
  context_.database = &directory_->database();
  for (const std::string& note : directory_->database().notes()) spdlog::warn("storage: {}", note);
  spdlog::info("data directory opened path={} fresh={} clean={} restored={} incarnation={}", config.data_dir,
               directory_->fresh(), directory_->clean(), directory_->restored(), directory_->incarnation());
  return std::nullopt;
}

std::optional<std::string> Node::listen() {
  Config& config = context_.config;
  auto http = listen_at(shards_[0]->io(), config.listen_http);
  if (!http.acceptor) return http.failure;
  auto peer = listen_at(shards_[0]->io(), config.listen_peer);
  if (!peer.acceptor) return peer.failure;
  if (!config.listen_resp.empty()) {
    auto resp = listen_at(shards_[0]->io(), config.listen_resp);
    if (!resp.acceptor) return resp.failure;
    resp_.acceptor = std::move(resp.acceptor);
    config.listen_resp = bound_address(config.listen_resp, *resp_.acceptor);
  }
  http_.acceptor = std::move(http.acceptor);
  peer_ = std::move(peer.acceptor);
  config.listen_http = bound_address(config.listen_http, *http_.acceptor);
  config.listen_peer = bound_address(config.listen_peer, *peer_);
  Member& self = context_.self;
  self.node.name = config.node;
  self.http_address = config.advertise_http.empty() ? config.listen_http : config.advertise_http;
  self.peer_address = config.advertise_peer.empty() ? config.listen_peer : config.advertise_peer;
  self.zone = config.zone;
  self.weight = config.weight;
  return std::nullopt;
}

std::optional<StoreError> Node::open_shards() {
  Identity identity;
  identity.life = directory_->life();
  identity.fallback_life = random_bits();
  identity.incarnation = directory_->incarnation();
  identity.clean = directory_->clean();
  identity.fresh = directory_->fresh();
  identity.restored = directory_->restored();
  AggregatorOptions aggregation;
  aggregation.columns.shards = static_cast<uint32_t>(shards_.size());
  aggregation.columns.partitions = context_.config.partitions;
  aggregation.columns.bytes_max = context_.config.aggregation_memory_bytes;
  aggregation.gpu = {.enabled = context_.config.gpu_enabled,
                     .device = context_.config.gpu_device,
                     .bytes_max = context_.config.gpu_memory_bytes};
  aggregation.lane_bytes_max = aggregation_waiting_bytes / shards_.size();
  aggregation.checkpoint_folder = context_.config.data_dir + "/columns";
  aggregation.checkpoint_interval_us = context_.config.checkpoint_seconds * 1e6;
  Aggregator::Shards ask;
  ask.mark = [this](uint32_t shard, uint64_t number) {
    shards_[shard]->mailbox().post([one = shards_[shard].get(), number] { one->column_feed().mark(number); });
  };
  ask.mark_file = [this](uint32_t shard, uint64_t number) {
    shards_[shard]->mailbox().post(
        [one = shards_[shard].get(), number] { one->column_feed().mark_file(number); });
  };
  aggregator_ = std::make_unique<Aggregator>(aggregation, directory_->database().reader(), std::move(ask));
  context_.aggregator = aggregator_.get();
  const Config& config = context_.config;
  BackupSettings backups{.label = {data_format_version, config.cluster_name, config.node, config.partitions},
                         .keep = config.backup_keep,
                         .bytes_per_second = config.backup_bytes_per_second};
  if (!config.backup_directory.empty()) backups.folder = config.backup_directory + "/" + config.node;
  backups_ = std::make_unique<Backups>(std::move(backups), directory_->database());
  context_.backups = backups_.get();
  for (auto& shard : shards_) {
    auto opened = shard->open(directory_->database(), identity);
    if (!opened) return opened.error();
  }
  if (auto noted = directory_->noted(); !noted)
    return StoreError{StoreError::Kind::io, noted.error().message};
  uint64_t floor_bytes = context_.config.free_space_bytes;
  floor_ = std::make_unique<SpaceFloor>(floor_bytes, floor_bytes + floor_bytes / 4);
  return std::nullopt;
}

void Node::start() {
  asio::io_context& first = shards_[0]->io();
  http_.pause = std::make_unique<asio::steady_timer>(first);
  resp_.pause = std::make_unique<asio::steady_timer>(first);
  peer_pause_ = std::make_unique<asio::steady_timer>(first);
  disk_timer_ = std::make_unique<asio::steady_timer>(first);
  for (auto& shard : shards_) shard->begin();
  accept_client(http_);
  if (resp_.acceptor) accept_client(resp_);
  accept_peer();
  watch_disk();
  for (auto& shard : shards_) threads_.emplace_back([one = shard.get()] { one->run(); });
}

std::string Node::ready_line() const {
  return "ready: node " + context_.config.node + " http " + context_.config.listen_http + " resp " +
         (resp_.acceptor ? context_.config.listen_resp : "-") + " peer " + context_.config.listen_peer;
}

void Node::accept_client(ClientPort& port) {
  ShardLoop& shard = *shards_[next_shard_++ % shards_.size()];
  port.acceptor->async_accept(shard.io(),
                              [this, &port, &shard](boost::system::error_code error, tcp::socket socket) {
                                if (error == asio::error::operation_aborted) return;
                                if (!error) {
                                  take_client(port, std::move(socket), shard);
                                  return accept_client(port);
                                }
                                // Out of descriptors, most likely: those waiting stay in the system's queue
                                // for a moment.
                                if (shards_[0]->log_gate().open("accept"))
                                  spdlog::warn("a connection can't be accepted: {}", error.message());
                                port.pause->expires_after(accept_pause);
                                port.pause->async_wait([this, &port](boost::system::error_code stopped) {
                                  if (!stopped) accept_client(port);
                                });
                              });
}

void Node::take_client(ClientPort& port, tcp::socket socket, ShardLoop& shard) {
  bool refused = context_.connections >= context_.config.connections_max;
  auto& count = refused ? context_.connections_refused : context_.connections;
  // Those that are being told so are few; beyond them the connection is closed without a word.
  if (refused && count >= refusals_max) return;
  ++count;
  auto begin = [&](auto connection) {
    asio::post(shard.io(), [connection, refused] { refused ? connection->refuse() : connection->start(); });
  };
  if (&port == &http_) {
    begin(std::make_shared<HttpConnection>(shard, std::move(socket), count));
  } else {
    begin(std::make_shared<RespConnection>(shard, std::move(socket), count));
  }
}

// Those who connected before this moment may have asked something.
void Node::take_waiting(ClientPort& port) {
  if (!port.acceptor) return;
  boost::system::error_code error;
  port.acceptor->non_blocking(true, error);
  while (!error) {
    tcp::socket waiting(shards_[0]->io());
    port.acceptor->accept(waiting, error);
    if (!error) take_client(port, std::move(waiting), *shards_[0]);
  }
  port.acceptor->close(error);
}

void Node::accept_peer() {
  peer_->async_accept(shards_[0]->io(), [this](boost::system::error_code error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      start_peer_session(*shards_[0], std::move(socket));
      return accept_peer();
    }
    peer_pause_->expires_after(accept_pause);
    peer_pause_->async_wait([this](boost::system::error_code stopped) {
      if (!stopped) accept_peer();
    });
  });
}

void Node::watch_disk() {
  auto free_bytes = free_disk_bytes(context_.config.data_dir);
  if (free_bytes) {
    context_.disk_free_bytes = *free_bytes;
    bool refuse = floor_->update(*free_bytes);
    if (context_.writes_refused.exchange(refuse) != refuse) {
      if (refuse) spdlog::error("writes are refused: the disk is below its floor free_bytes={}", *free_bytes);
      if (!refuse) spdlog::info("writes are taken again free_bytes={}", *free_bytes);
      for (auto& shard : shards_) {
        shard->mailbox().post([one = shard.get(), refuse] { one->refuse_writes(refuse); });
      }
    }
  }
  disk_timer_->expires_after(disk_interval);
  disk_timer_->async_wait([this](boost::system::error_code error) {
    if (!error) watch_disk();
  });
}

void Node::drain_connections() {
  for (auto& shard : shards_) {
    shard->mailbox().post([one = shard.get()] { one->drain_connections(); });
  }
}

// Lets requests in flight end, at most 5 s, then ends all threads.
void Node::stop_shards() {
  context_.draining = true;
  asio::post(shards_[0]->io(), [this] {
    take_waiting(http_);
    take_waiting(resp_);
    disk_timer_->cancel();
  });
  drain_connections();
  auto until = std::chrono::steady_clock::now() + drain_time_max;
  while (context_.connections > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (context_.connections > 0) spdlog::warn("connections are cut off count={}", context_.connections.load());
  for (auto& shard : shards_) shard->stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  backups_.reset();
  aggregator_->stop(true);
  aggregator_.reset();
  for (auto& shard : shards_) shard->close_store();
}

bool Node::close() {
  spdlog::info("closing");
  stop_shards();
  auto closed = directory_->close();
  if (!closed) {
    spdlog::error("the data directory was not closed in order: {}", closed.error().message);
    return false;
  }
  spdlog::info("closed");
  return true;
}

// One after the other, and waits for each.
void Node::ask_each_shard(const std::function<void(ShardLoop&, size_t)>& question) {
  for (size_t i = 0; i < shards_.size(); ++i) {
    std::promise<void> asked;
    shards_[i]->mailbox().post([&] {
      question(*shards_[i], i);
      asked.set_value();
    });
    asked.get_future().get();
  }
}

// Each shard's thread looks at its own partitions.
bool Node::held_elsewhere() {
  bool all = true;
  ask_each_shard([&](ShardLoop& shard, size_t i) {
    const Core& core = shard.core();
    auto& wanted = at_damage_[i];
    if (wanted.empty()) {
      for (const PartitionView& view : core.partitions(now())) wanted.emplace(view.partition, view.clock);
    }
    const bool held = std::all_of(wanted.begin(), wanted.end(), [&](const auto& entry) {
      return entry.second.empty() || core.held_elsewhere(entry.first, entry.second);
    });
    all = held && all;
  });
  return all;
}

bool Node::may_be_set_aside() {
  const std::string what = damage_.what();
  if (what.empty()) return false;
  bool first = at_damage_.empty();
  at_damage_.resize(shards_.size());
  if (first) spdlog::error("storage is damaged: {}", what);
  if (context_.config.replicas < 2) {
    if (first) spdlog::error("there is no other replica: what is damaged can't be read. Restore a backup");
    return false;
  }
  if (held_elsewhere()) return true;
  if (first)
    spdlog::warn("the damaged storage is kept until ready replicas elsewhere have all that is in it");
  return false;
}

bool Node::departed() {
  if (!context_.departing) return false;
  bool all = true;
  bool linked = false;
  bool known = false;
  Member self;
  ask_each_shard([&](ShardLoop& shard, size_t) {
    all = all && shard.core().departed();
    linked = linked || shard.linked_to_any();
    known = known || shard.core().removal_known();
    for (const MemberView& view : shard.core().members(now())) {
      if (view.state == MemberState::self) self = view.member;
    }
  });
  if (!all) departed_.reset();
  if (!all || !linked) return false;
  if (self.standing == Standing::leaving) {
    self.standing = Standing::removed;
    self.decided = {};
    ask_each_shard([&](ShardLoop& shard, size_t) {
      if (auto decided = shard.decide(self)) self = *decided;
    });
  }
  const auto now = std::chrono::steady_clock::now();
  if (!departed_) {
    spdlog::info("this node is no member any more and holds nothing that others need: it ends");
    departed_ = now;
  }
  // Else the others would wait for it for ever: holes are closed, and logs collected, on all members' word.
  return known && now >= *departed_ + farewell_time;
}

Result<Config, std::string> Node::set_aside() {
  // What was written since then has had this long to reach the others, which are asked to take no more from
  // here.
  at_damage_.assign(shards_.size(), {});
  drain_connections();
  context_.draining = true;
  auto until = std::chrono::steady_clock::now() + drain_time_max;
  while (!held_elsewhere() && std::chrono::steady_clock::now() < until) {
    at_damage_.assign(shards_.size(), {});
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  stop_shards();
  directory_.reset();
  auto aside = set_aside_damaged(context_.config.data_dir);
  if (!aside) return aside.error().message;
  spdlog::error("damaged data was set aside and is filled again from the other replicas path={}", *aside);
  return context_.config;
}

}  // namespace covey::server
