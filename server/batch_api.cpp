#include "server/batch_api.h"

#include <deque>

#include "replication/context_token.h"
#include "server/batch_line.h"
#include "server/kv_api.h"
#include "server/text.h"
#include "server/typed_columns.h"

namespace covey::server {
namespace {

constexpr size_t in_flight_max = 256;
constexpr size_t batch_chunk_bytes = 32 * 1024;  // results are sent on in pieces of about this size
constexpr size_t results_bytes_max = 4 * 1024 * 1024;

// One batch from its body to its last result. Lives as long as an answer may come.
class Batch : public Requester, public std::enable_shared_from_this<Batch> {
 public:
  Batch(std::shared_ptr<HttpConnection> connection, uint64_t slot, std::string body, std::string table,
        const CallOptions& options)
      : connection_(std::move(connection)),
        slot_(slot),
        body_(std::move(body)),
        table_(std::move(table)),
        options_(options) {}

  void start() {
    lines_ = split_lines(body_);
    if (auto error = check_lines(lines_)) return connection_->reply(slot_, *error);
    connection_->begin_stream(slot_, {200, "application/x-ndjson"});
    advance();
  }

  void answered(uint64_t number, Response&& response) override {
    if (number < first_ || number - first_ >= entries_.size()) return;
    Entry& entry = entries_[number - first_];
    if (has_no_room(number, response)) {
      entry.again = true;
    } else {
      render(entry, response);
    }
    --in_flight_;
    advance();
  }

 private:
  struct Entry {
    Operation operation = Operation::put;
    std::string key;
    bool key_is_text = true;
    bool again = false;  // its result had no room: to be read again
    std::string result;  // its line, once it is known
  };

  // Sends results that are due and starts lines that there is room for. Answers may come from within.
  void advance() {
    if (advancing_) return;
    advancing_ = true;
    while (!finished_) {
      write_due();
      bool more = next_line_ < lines_.size();
      if (connection_->gone(slot_) || (!more && entries_.empty())) {
        finish();
      } else if (paused_ || !may_begin()) {
        break;
      } else if (connection_->should_pause(slot_, [self = shared_from_this()] { self->resume(); })) {
        paused_ = true;
      } else if (entries_.empty() || !entries_.front().again) {
        begin_line(lines_[next_line_++].text);
      } else {
        read_first_again();
      }
    }
    advancing_ = false;
  }

  bool may_begin() const {
    const bool first_again = !entries_.empty() && entries_.front().again;
    return first_again || (next_line_ < lines_.size() && entries_.size() < in_flight_max &&
                           results_bytes_ < results_bytes_max);
  }

  bool has_no_room(uint64_t number, const Response& response) const {
    if (entries_[number - first_].operation != Operation::get || response.object.versions.empty())
      return false;
    if (number == first_) return connection_->is_full(slot_);
    return results_bytes_ + value_bytes(response.object) > results_bytes_max;
  }

  void read_first_again() {
    Entry& entry = entries_.front();
    entry.again = false;
    Request request;
    request.operation = Operation::get;
    request.key = entry.key;
    set_table(request);
    ++in_flight_;
    connection_->shard().ask(std::move(request), shared_from_this(), first_);
  }

  // Returns the table; nullptr: there is none any more.
  const TableDefinition* set_table(Request& request) const {
    const TableDefinition* table = connection_->shard().table(table_);
    request.table = table_;
    request.level = request.operation == Operation::get ? options_.read : options_.write;
    request.sloppy = options_.sloppy;
    request.timeout_ms = options_.timeout_ms;
    if (table != nullptr) request.conflicts = table->conflicts;
    return table;
  }

  void resume() {
    paused_ = false;
    advance();
  }

  void write_due() {
    while (!entries_.empty() && !entries_.front().result.empty()) {
      chunk_.append(entries_.front().result);
      results_bytes_ -= entries_.front().result.size();
      entries_.pop_front();
      ++first_;
      if (chunk_.size() >= batch_chunk_bytes) send_chunk();
    }
    if (entries_.empty() || next_line_ == lines_.size() || entries_.size() >= in_flight_max) send_chunk();
  }

  void send_chunk() {
    connection_->write_stream(slot_, chunk_);
    chunk_.clear();
  }

  void finish() {
    send_chunk();
    finished_ = true;
    connection_->end_stream(slot_);
  }

  void begin_line(std::string_view text) {
    ShardLoop& shard = connection_->shard();
    entries_.emplace_back();
    uint64_t number = first_ + entries_.size() - 1;
    BatchLine line;
    auto error = parse_line(text, shard.node().config.value_bytes_max, line);
    Entry& entry = entries_.back();
    entry.operation = line.operation;
    entry.key = line.key;
    entry.key_is_text = line.key_is_text;
    Request request;
    ReadRow row;
    if (!error) error = fill(request, line, row);
    if (error) return render_error(entry, *error);
    ++in_flight_;
    shard.ask(std::move(request), shared_from_this(), number, std::move(row));
  }

  std::optional<ErrorAnswer> fill(Request& request, BatchLine& line, ReadRow& row) {
    ShardLoop& shard = connection_->shard();
    request.operation = line.operation;
    const TableDefinition* table = set_table(request);
    if (table == nullptr) return no_such_table(table_);
    if (line.context && line.operation != Operation::get) {
      request.context = open_context(shard.node().token, table_, line.key, *line.context);
      if (!request.context)
        return bad_request("\"context\" is not one that this cluster gave out for this key.");
    }
    if (line.operation == Operation::put) {
      if (!table->columns.empty()) {
        if (auto wrong = check_columns(*table, line.value, &row.values)) return bad_column(*wrong);
        row.name = row_name(table->text, line.value);
      }
      request.value = std::move(line.value);
      request.content_type =
          line.content_type == "application/octet-stream" ? "" : std::move(line.content_type);
      uint64_t ttl_ms = line.ttl_ms != 0 ? line.ttl_ms : options_.ttl_ms;
      if (ttl_ms != 0) request.expires_ms = now().wall_ms + ttl_ms;
    }
    if (line.operation == Operation::change) {
      if (auto wrong = check_columns(*table, line.changes)) return bad_column(*wrong);
      request.changes = std::move(line.changes);
      uint64_t ttl_ms = line.ttl_ms;
      if (ttl_ms != 0) request.expires_ms = now().wall_ms + ttl_ms;
    }
    request.key = std::move(line.key);
    return std::nullopt;
  }

  void begin_result(Entry& entry, int status) {
    entry.result = "{";
    append_key(entry.result, entry.key, entry.key_is_text);
    entry.result.append(",\"status\":");
    append_number(entry.result, static_cast<uint64_t>(status));
  }

  void end_result(Entry& entry, std::string_view end) {
    entry.result.append(end);
    results_bytes_ += entry.result.size();
  }

  void render_error(Entry& entry, const ErrorAnswer& error) {
    begin_result(entry, error.status);
    end_result(entry, "," + error_member(error) + "}\n");
  }

  void render(Entry& entry, const Response& response) {
    bool reading = entry.operation == Operation::get;
    bool absent = reading && (response.status == Status::not_found ||
                              (response.status == Status::ok && response.object.versions.empty()));
    if (response.status != Status::ok && !absent)
      return render_error(entry, error_of(response, entry.operation));
    begin_result(entry, reading ? status_of_read(response.object) : 200);
    ShardLoop& shard = connection_->shard();
    if (absent) entry.result.append(",").append(error_member(not_found("Nothing is stored under this key.")));
    if (!reading) {
      entry.result.append(",\"dot\":");
      append_json_string(entry.result, shard.core().dot_text(response.dot));
      if (entry.operation == Operation::change) append_changed(entry.result, response.changed);
    } else if (!absent) {
      append_versions(entry.result, shard, response.object);
    }
    entry.result.append(",\"context\":\"");
    const auto needed = [&] { return reading ? dots_of(response.object) : DotSet{response.dot}; };
    entry.result.append(seal_context(shard.node().token, table_, entry.key, response.context, needed));
    end_result(entry, "\"}\n");
  }

  std::shared_ptr<HttpConnection> connection_;
  const uint64_t slot_;
  const std::string body_;
  const std::string table_;
  const CallOptions options_;
  std::vector<NumberedLine> lines_;
  size_t next_line_ = 0;
  std::deque<Entry> entries_;  // begun and not yet sent, in the order of their lines
  uint64_t first_ = 0;         // number of the first of them
  size_t in_flight_ = 0;
  size_t results_bytes_ = 0;  // of the entries
  std::string chunk_;
  bool advancing_ = false;
  bool paused_ = false;
  bool finished_ = false;
};

}  // namespace

void start_batch(std::shared_ptr<HttpConnection> connection, uint64_t slot, HttpRequest& http,
                 const std::string& table, const CallOptions& options) {
  connection->meter(slot, MeteredOperation::batch, options.write);
  auto batch = std::make_shared<Batch>(connection, slot, std::move(http.body), table, options);
  batch->start();
}

}  // namespace covey::server
