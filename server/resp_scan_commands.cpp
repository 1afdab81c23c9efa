// Commands that go through all keys of a table, one partition after the other.
#include <algorithm>
#include <charconv>
#include <functional>

#include "server/errors.h"
#include "server/glob.h"
#include "server/resp_commands.h"
#include "server/resp_value.h"

namespace covey::server {
namespace {

constexpr uint32_t rows_asked_max = 256;        // of a partition at once: they come with their values
constexpr size_t keys_bytes_max = 64ull << 20;  // of the answer of KEYS
constexpr uint32_t partitions_max = 64;         // looked at by one SCAN
constexpr int64_t scan_count_max = 10'000;

// Goes on until `take` says that it has enough, or all is seen.
class Walk : public Requester, public std::enable_shared_from_this<Walk> {
 public:
  using Take = std::function<bool(const std::string& key, const Object& object)>;  // false: no more
  struct End {
    bool all = false;  // nothing is left
    uint32_t partition = 0;
    std::string start_key;  // where it would go on
  };
  using Then = std::function<void(RespCall&, const End&)>;

  Walk(RespCall& call, std::string prefix, Take take, Then then)
      : call_(call.shared_from_this()),
        prefix_(std::move(prefix)),
        take_(std::move(take)),
        then_(std::move(then)) {}

  void start(uint32_t partition, std::string start_key, uint32_t partitions, uint32_t rows) {
    partition_ = partition;
    start_key_ = std::move(start_key);
    partitions_left_ = partitions;
    rows_ = std::clamp<uint32_t>(rows, 1, rows_asked_max);
    ask();
  }

  void answered(uint64_t, Response&& response) override {
    if (call_->gone()) return;
    if (response.status != Status::ok && response.status != Status::not_found)
      return call_->fail(resp_error(response, Operation::scan));
    for (const auto& [key, object] : response.rows) {
      if (object.versions.empty()) continue;
      if (take_(key, object)) continue;
      start_key_ = key + '\0';  // the least key beyond it
      return then_(*call_, {false, partition_, start_key_});
    }
    if (response.next_key) {
      start_key_ = *response.next_key;
      return ask();
    }
    ++partition_;
    start_key_.clear();
    if (partition_ == call_->config().partitions) return then_(*call_, {true, 0, {}});
    if (--partitions_left_ == 0) return then_(*call_, {false, partition_, {}});
    ask();
  }

 private:
  void ask() {
    Request request = call_->request(Operation::scan, {});
    request.partition = PartitionId{partition_};
    request.start_key = std::max(start_key_, prefix_);
    request.prefix = prefix_;
    request.limit = rows_;
    call_->shard().ask(std::move(request), shared_from_this(), 0);
  }

  std::shared_ptr<RespCall> call_;
  const std::string prefix_;
  const Take take_;
  const Then then_;
  uint32_t partition_ = 0;
  std::string start_key_;
  uint32_t partitions_left_ = 0;
  uint32_t rows_ = rows_asked_max;
};

// false: it was told that there is no such table.
bool has_table(RespCall& call) {
  if (call.shard().table(call.table()) != nullptr) return true;
  call.fail("ERR " + no_such_table(call.table()).message);
  return false;
}

void write_keys(RespReply& reply, const std::vector<std::string>& keys) {
  reply.array(keys.size());
  for (const std::string& key : keys) reply.bulk(key);
}

void keys(RespCall& call) {
  if (!has_table(call)) return;
  struct State {
    std::vector<std::string> keys;
    size_t bytes = 0;
  };
  auto state = std::make_shared<State>();
  const std::string pattern = call.words[1];
  auto take = [state, pattern](const std::string& key, const Object&) {
    if (!matches_glob(pattern, key)) return true;
    state->bytes += key.size() + sizeof(std::string);
    state->keys.push_back(key);
    return state->bytes <= keys_bytes_max;
  };
  auto then = [state](RespCall& done, const Walk::End& end) {
    if (!end.all) return done.fail("ERR there are too many keys for one answer: use SCAN");
    write_keys(done.reply(), state->keys);
    done.done();
  };
  auto walk = std::make_shared<Walk>(call, literal_prefix(pattern), take, then);
  walk->start(0, {}, call.config().partitions, rows_asked_max);
}

void count_keys(RespCall& call) {
  if (!has_table(call)) return;
  auto count = std::make_shared<int64_t>(0);
  auto take = [count](const std::string&, const Object&) {
    ++*count;
    return true;
  };
  auto then = [count](RespCall& done, const Walk::End&) {
    done.reply().integer(*count);
    done.done();
  };
  std::make_shared<Walk>(call, "", take, then)->start(0, {}, call.config().partitions, rows_asked_max);
}

struct ScanOptions {
  std::string pattern = "*";
  int64_t count = 10;
  std::optional<std::string> type;  // Redis' name of the one that is asked for, in lower case
};

// The error in Redis' words; empty: none.
std::string read_options(const std::vector<std::string>& words, size_t from, bool typed, ScanOptions& out) {
  for (size_t i = from; i < words.size(); i += 2) {
    if (i + 1 == words.size()) return "ERR syntax error";
    if (is_option(words[i], "count")) {
      auto count = parse_integer(words[i + 1]);
      if (!count) return std::string(not_an_integer);
      if (*count < 1) return "ERR syntax error";
      out.count = std::min(*count, scan_count_max);
    } else if (is_option(words[i], "match")) {
      out.pattern = words[i + 1];
    } else if (is_option(words[i], "type")) {
      if (!typed) return "ERR syntax error";
      out.type = lower_case(words[i + 1]);
    } else {
      return "ERR syntax error";
    }
  }
  return {};
}

// As strtoul reads it, which is what Redis takes: "" is 0, and "-1" is the largest.
std::optional<uint64_t> read_cursor(std::string_view word) {
  if (word.empty()) return 0;
  const bool negative = word.front() == '-';
  if (negative || word.front() == '+') word.remove_prefix(1);
  uint64_t number = 0;
  auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return negative ? 0 - number : number;
}

void scan(RespCall& call) {
  const auto number = read_cursor(call.words[1]);
  if (!number) return call.fail("ERR invalid cursor");
  ScanOptions options;
  const std::string wrong = read_options(call.words, 2, true, options);
  if (!wrong.empty()) return call.fail(wrong);
  if (!has_table(call)) return;
  RespCursor from;
  from.table = call.table();
  if (*number != 0) {
    auto known = call.shard().node().resp_cursors.find(*number);
    if (!known || known->table != call.table()) {
      return call.fail(
          "ERR this cursor is not known, or not any more: this node keeps the last 1024; begin again with 0");
    }
    from = std::move(*known);
  }
  struct State {
    std::vector<std::string> keys;
    int64_t seen = 0;
  };
  auto state = std::make_shared<State>();
  auto take = [state, options](const std::string& key, const Object& object) {
    const bool wanted = !options.type || *options.type == redis_name(type_of(object));
    if (wanted && matches_glob(options.pattern, key)) state->keys.push_back(key);
    return ++state->seen < options.count;
  };
  auto then = [state](RespCall& done, const Walk::End& end) {
    uint64_t next = 0;
    if (!end.all) next = done.shard().node().resp_cursors.add({done.table(), end.partition, end.start_key});
    done.reply().array(2);
    done.reply().bulk(std::to_string(next));
    write_keys(done.reply(), state->keys);
    done.done();
  };
  auto walk = std::make_shared<Walk>(call, literal_prefix(options.pattern), take, then);
  walk->start(from.partition, from.start_key, partitions_max, static_cast<uint32_t>(options.count));
}

constexpr RespCommand scan_commands[] = {
    {.name = "keys",
     .arity = 2,
     .operation = MeteredOperation::scan,
     .whole_table = true,
     .run = keys,
     .docs = {"1.0.0", "O(N) in the keys of the table", "pattern", "All keys that match."}},
    {.name = "scan",
     .arity = -2,
     .operation = MeteredOperation::scan,
     .whole_table = true,
     .run = scan,
     .docs = {"2.8.0", "O(1) for each call, O(N) in the keys of the table for all",
              "cursor [MATCH pattern] [COUNT count] [TYPE type]",
              "Some of the keys that match, and where to go on."}},
    {.name = "dbsize",
     .arity = 1,
     .operation = MeteredOperation::scan,
     .whole_table = true,
     .run = count_keys,
     .docs = {"1.0.0", "O(N) in the keys of the table", "", "How many keys the table has."}},
};

}  // namespace

bool ElementScan::parse(RespCall& call) {
  if (!read_cursor(call.words[2])) {
    call.fail("ERR invalid cursor");
    return false;
  }
  ScanOptions options;
  wrong = read_options(call.words, 3, false, options);
  pattern = std::move(options.pattern);
  return true;
}

std::span<const RespCommand> resp_scan_commands() { return scan_commands; }

}  // namespace covey::server
