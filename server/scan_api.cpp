#include "server/scan_api.h"

#include <algorithm>
#include <deque>
#include <queue>
#include <vector>

#include "replication/base64.h"
#include "replication/context_token.h"
#include "server/batch_line.h"
#include "server/kv_api.h"

namespace covey::server {
namespace {

constexpr uint32_t partitions_asked_max = 256;  // partitions asked at once
constexpr size_t scan_chunk_bytes = 32 * 1024;
constexpr char cursor_format = 1;

// A k-way merge over the partitions, each of which tells its keys in order, a few at a time.
class Scan : public Requester, public std::enable_shared_from_this<Scan> {
 public:
  Scan(std::shared_ptr<HttpConnection> connection, uint64_t slot, std::string table,
       const CallOptions& options)
      : connection_(std::move(connection)), slot_(slot), table_(std::move(table)), options_(options) {
    uint32_t partitions = connection_->shard().node().config.partitions;
    partitions_.resize(partitions);
    share_ = std::min(options_.limit, options_.limit / partitions * 2 + 4);
  }

  void start(std::string from) {
    for (Partition& partition : partitions_) partition.next_key = from;
    unknown_ = partitions_.size();
    for (uint32_t i = 0; i < partitions_.size(); ++i) to_ask_.push_back(i);
    advance();
  }

  void answered(uint64_t number, Response&& response) override {
    --asked_;
    if (finished_) return;
    if (response.status != Status::ok && response.status != Status::not_found) {
      if (!failed_) failed_ = error_of(response, Operation::scan);
      return advance();
    }
    Partition& partition = partitions_[number];
    for (auto& row : response.rows) partition.rows.push_back(std::move(row));
    partition.next_key = std::move(response.next_key);
    if (partition.rows.empty() && partition.next_key) {
      to_ask_.push_back(static_cast<uint32_t>(number));  // it told only what is not there
    } else {
      --unknown_;
      if (!partition.rows.empty()) heads_.push(head(static_cast<uint32_t>(number)));
    }
    advance();
  }

 private:
  struct Partition {
    std::deque<std::pair<std::string, Object>> rows;
    std::optional<std::string> next_key;  // where its next rows begin; nullopt: it has no more
  };
  struct Head {
    std::string key;
    uint32_t partition;
    bool operator>(const Head& other) const { return key > other.key; }
  };

  Head head(uint32_t partition) const { return {partitions_[partition].rows.front().first, partition}; }

  void advance() {
    if (advancing_) return;
    advancing_ = true;
    while (!finished_) {
      if (connection_->gone(slot_)) {
        finished_ = true;
      } else if (failed_) {
        fail();
      } else if (!to_ask_.empty() && asked_ < partitions_asked_max) {
        ask(to_ask_.front());
      } else if (paused_ || unknown_ > 0) {
        break;
      } else if (emitted_ == options_.limit || heads_.empty()) {
        finish();
      } else if (connection_->should_pause(slot_, [self = shared_from_this()] { self->resume(); })) {
        paused_ = true;
      } else {
        emit();
      }
    }
    advancing_ = false;
  }

  void resume() {
    paused_ = false;
    advance();
  }

  void ask(uint32_t number) {
    to_ask_.pop_front();
    Request request;
    request.operation = Operation::scan;
    request.table = table_;
    request.partition = PartitionId{number};
    request.start_key = *partitions_[number].next_key;
    request.prefix = options_.prefix;
    request.level = options_.read;
    request.sloppy = options_.sloppy;
    request.timeout_ms = options_.timeout_ms;
    request.limit = std::min(share_, options_.limit - emitted_);
    const TableDefinition* known = connection_->shard().table(table_);
    if (known != nullptr) request.conflicts = known->conflicts;
    ++asked_;
    connection_->shard().ask(std::move(request), shared_from_this(), number);
  }

  void emit() {
    uint32_t number = heads_.top().partition;
    heads_.pop();
    Partition& partition = partitions_[number];
    auto row = std::move(partition.rows.front());
    partition.rows.pop_front();
    if (!partition.rows.empty()) {
      heads_.push(head(number));
    } else if (partition.next_key) {
      ++unknown_;  // nothing beyond this key may be told before this partition's next one is known
      if (emitted_ + 1 < options_.limit) to_ask_.push_back(number);
    }
    append_row(row.first, row.second);
    last_key_ = std::move(row.first);
    ++emitted_;
    if (emitted_ == options_.limit) unknown_ = 0;  // the page is full: what comes next is the next page's
    if (chunk_.size() >= scan_chunk_bytes) send_chunk();
  }

  void append_row(const std::string& key, const Object& object) {
    ShardLoop& shard = connection_->shard();
    chunk_.push_back('{');
    append_key(chunk_, key, true);
    append_versions(chunk_, shard, object);
    chunk_.append(",\"context\":\"")
        .append(
            seal_context(shard.node().token, table_, key, object.context, [&] { return dots_of(object); }))
        .append("\"}\n");
  }

  void send_chunk() {
    begin();
    connection_->write_stream(slot_, chunk_);
    chunk_.clear();
  }

  void begin() {
    if (begun_) return;
    begun_ = true;
    connection_->begin_stream(slot_, {200, "application/x-ndjson"});
  }

  bool more_behind() const {
    if (!heads_.empty()) return true;
    for (const Partition& partition : partitions_) {
      if (partition.next_key) return true;
    }
    return false;
  }

  void finish() {
    finished_ = true;
    if (emitted_ == options_.limit && more_behind()) {
      std::string cursor(1, cursor_format);
      cursor.append(last_key_).push_back('\0');  // the least key beyond the last one told
      chunk_.append("{\"cursor\":\"").append(base64_encode(cursor, Base64::url)).append("\"}\n");
    } else {
      chunk_.append("{\"cursor\":null}\n");
    }
    send_chunk();
    connection_->end_stream(slot_);
  }

  void fail() {
    finished_ = true;
    if (!begun_) return connection_->reply(slot_, *failed_);
    chunk_.append(error_body(*failed_));
    send_chunk();
    connection_->end_stream(slot_);
  }

  std::shared_ptr<HttpConnection> connection_;
  const uint64_t slot_;
  const std::string table_;
  const CallOptions options_;
  uint32_t share_ = 0;  // rows asked of one partition at a time
  std::vector<Partition> partitions_;
  std::deque<uint32_t> to_ask_;
  uint32_t asked_ = 0;
  size_t unknown_ = 0;  // partitions whose least remaining key is not known yet
  std::priority_queue<Head, std::vector<Head>, std::greater<>> heads_;  // of each partition that has rows
  std::optional<ErrorAnswer> failed_;
  uint32_t emitted_ = 0;
  std::string last_key_;
  std::string chunk_;
  bool begun_ = false;
  bool advancing_ = false;
  bool paused_ = false;
  bool finished_ = false;
};

}  // namespace

void start_scan(std::shared_ptr<HttpConnection> connection, uint64_t slot, const std::string& table,
                const CallOptions& options) {
  connection->meter(slot, MeteredOperation::scan, options.read);
  std::string from = std::max(options.start, options.prefix);
  if (options.cursor) {
    auto cursor = base64_decode(*options.cursor, Base64::url);
    if (!cursor || cursor->size() < 2 || cursor->front() != cursor_format ||
        cursor->size() > key_bytes_max + 2) {
      return connection->reply(
          slot, bad_request("The cursor is not one that a scan gave out: begin again without it."));
    }
    from = std::max(from, cursor->substr(1));
  }
  std::make_shared<Scan>(connection, slot, table, options)->start(std::move(from));
}

}  // namespace covey::server
