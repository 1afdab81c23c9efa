// bench: a quick load of one's own cluster. Each client is a thread with a connection and keys of its own; it
// hands back the context of its last write of a key, so that no siblings pile up.
#include <algorithm>
#include <atomic>
#include <deque>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "client/cli/commands.h"
#include "client/cli/progress.h"
#include "client/encoding.h"
#include "client/histogram.h"
#include "client/http.h"

namespace covey::cli {
namespace {

using client::Histogram;
using client::HttpConnection;
using client::HttpRequest;
using client::HttpResponse;
using Clock = std::chrono::steady_clock;

constexpr int failures_in_row_max = 10;  // of the connection: then the client gives up its share

struct Outcome {
  Histogram reads_us;  // microseconds from the sending of a request to its answer
  Histogram writes_us;
  std::map<std::string, uint64_t> errors;
  uint64_t error_count() const {
    uint64_t count = 0;
    for (const auto& [what, times] : errors) count += times;
    return count;
  }
};

std::string bench_key(unsigned client, uint64_t index) {
  return "bench:" + std::to_string(client) + ":" + std::to_string(index);
}

// One client's keys and the contexts of their last writes.
struct LoadShare {
  unsigned number = 0;
  uint64_t operations = 0;
  std::vector<std::string> contexts;
};

class LoadClient {
 public:
  LoadClient(const Session& session, const BenchCommand& command, HttpConnection connection, LoadShare& share,
             std::atomic<uint64_t>& done)
      : command_(command),
        connection_(std::move(connection)),
        share_(share),
        done_(done),
        random_(command.seed * 1'000'003 + share.number),
        busy_(share.contexts.size()),
        path_("/v1/kv/" + client::percent_encode(session.settings().table) + "/"),
        timeout_(session.settings().timeout.value_or(Milliseconds(10'000)) + Milliseconds(1000)) {
    common_ = session.settings().timeout
                  ? "&timeout_ms=" + std::to_string(session.settings().timeout->count())
                  : "";
    if (session.settings().sloppy) common_ += *session.settings().sloppy ? "&sloppy=true" : "&sloppy=false";
    while (payload_.size() < command.value_bytes * 2 + 64)
      payload_ += static_cast<char>('a' + random_() % 26);
  }

  Outcome run() {
    uint64_t left = share_.operations;
    while (left + flying_.size() > 0 && failures_in_row_ < failures_in_row_max) {
      if (left > 0 && flying_.size() < command_.pipeline) {
        --left;
        send_one();
      } else {
        receive_one();
      }
    }
    if (left > 0) outcome_.errors["not tried: the connection kept failing"] += left;
    return std::move(outcome_);
  }

 private:
  struct Flying {
    bool write = false;
    uint64_t key = 0;
    Clock::time_point start;
  };

  // A random key that has no request under way: there are at least as many keys as requests in flight.
  uint64_t pick_key() {
    uint64_t key = random_() % busy_.size();
    while (busy_[key]) key = (key + 1) % busy_.size();
    return key;
  }

  void send_one() {
    const double draw = static_cast<double>(random_() >> 11) / static_cast<double>(uint64_t{1} << 53);
    Flying next{.write = draw >= command_.read_share, .key = pick_key()};
    HttpRequest request{.method = next.write ? "PUT" : "GET",
                        .target = path_ + client::percent_encode(bench_key(share_.number, next.key))};
    const std::string& level = next.write ? command_.write_level : command_.read_level;
    std::string query = common_;
    if (!level.empty()) query += (next.write ? "&w=" : "&r=") + level;
    if (!query.empty()) request.target += "?" + query.substr(1);
    if (next.write) {
      request.body = payload_.substr(random_() % (command_.value_bytes + 1), command_.value_bytes);
      request.headers.emplace_back("Content-Type", "application/octet-stream");
      const std::string& context = share_.contexts[next.key];
      if (!context.empty()) request.headers.emplace_back("Covey-Context", context);
    }
    next.start = Clock::now();
    auto sent = connection_.send(request, next.start + timeout_);
    if (!sent) return fail(sent.error().message, 1);
    busy_[next.key] = true;
    flying_.push_back(next);
  }

  void receive_one() {
    auto response = connection_.receive(Clock::now() + timeout_);
    if (!response) return fail(response.error().message, 0);
    failures_in_row_ = 0;
    const Flying done = flying_.front();
    flying_.pop_front();
    busy_[done.key] = false;
    done_.fetch_add(1, std::memory_order_relaxed);
    const int status = response->status;
    if (status != 200 && status != 300 && (done.write || status != 404)) {
      ++outcome_.errors["HTTP " + std::to_string(status)];
      return;
    }
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - done.start);
    (done.write ? outcome_.writes_us : outcome_.reads_us).record(static_cast<uint64_t>(took.count()));
    if (done.write) share_.contexts[done.key] = response->header("Covey-Context");
    // A close in the middle of a pipeline takes the requests behind it along.
    if (response->header("Connection") == "close" && !flying_.empty()) fail("the connection was closed", 0);
  }

  void fail(const std::string& message, uint64_t unsent) {
    ++failures_in_row_;
    outcome_.errors[message] += flying_.size() + unsent;
    done_.fetch_add(flying_.size() + unsent, std::memory_order_relaxed);
    for (const Flying& lost : flying_) busy_[lost.key] = false;
    flying_.clear();
    connection_.close();
  }

  const BenchCommand& command_;
  HttpConnection connection_;
  LoadShare& share_;
  std::atomic<uint64_t>& done_;
  std::mt19937_64 random_;
  std::vector<bool> busy_;
  std::string path_;
  std::string common_;
  Milliseconds timeout_;
  std::string payload_;
  std::deque<Flying> flying_;
  int failures_in_row_ = 0;
  Outcome outcome_;
};

// Writes every key once, so that reads find something, and keeps the contexts.
std::optional<Error> preload(client::Client& client, const Session& session, const BenchCommand& command,
                             std::vector<LoadShare>& shares) {
  using client::BatchOperation;
  const std::string value(command.value_bytes, 'x');
  for (LoadShare& share : shares) {
    for (uint64_t start = 0; start < share.contexts.size(); start += 500) {
      const uint64_t end = std::min<uint64_t>(start + 500, share.contexts.size());
      std::vector<BatchOperation> operations;
      for (uint64_t i = start; i < end; ++i) {
        operations.push_back({.kind = BatchOperation::Kind::get, .key = bench_key(share.number, i)});
      }
      auto read = client.batch(session.settings().table, operations);
      if (!read) return read.error();
      for (size_t i = 0; i < operations.size(); ++i) {
        operations[i].kind = BatchOperation::Kind::put;
        operations[i].value = value;
        operations[i].content_type = "application/octet-stream";
        operations[i].context = (*read)[i].context;
      }
      auto written = client.batch(session.settings().table, operations, {.level = command.write_level});
      if (!written) return written.error();
      for (size_t i = 0; i < written->size(); ++i) {
        if ((*written)[i].error) return (*written)[i].error;
        share.contexts[start + i] = (*written)[i].context;
      }
    }
  }
  return std::nullopt;
}

Json latencies_json(const Histogram& histogram) {
  return {{"count", histogram.count()},
          {"p50_us", histogram.percentile(50)},
          {"p90_us", histogram.percentile(90)},
          {"p99_us", histogram.percentile(99)},
          {"p99.9_us", histogram.percentile(99.9)},
          {"max_us", histogram.largest()}};
}

std::vector<std::string> latencies_row(const char* name, const Histogram& histogram) {
  const auto ms = [](uint64_t us) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f", static_cast<double>(us) / 1000);
    return std::string(text);
  };
  return {name,
          std::to_string(histogram.count()),
          ms(histogram.percentile(50)),
          ms(histogram.percentile(90)),
          ms(histogram.percentile(99)),
          ms(histogram.percentile(99.9)),
          ms(histogram.largest())};
}

int print_outcome(const Session& session, const Outcome& total, double seconds) {
  const uint64_t succeeded = total.reads_us.count() + total.writes_us.count();
  const auto rate = static_cast<uint64_t>(static_cast<double>(succeeded) / std::max(seconds, 1e-9));
  if (session.settings().json) {
    print_json({{"operations", succeeded},
                {"seconds", seconds},
                {"operations_per_second", rate},
                {"reads", latencies_json(total.reads_us)},
                {"writes", latencies_json(total.writes_us)},
                {"errors", total.errors}});
  } else {
    std::cout << succeeded << " operations in " << seconds << " s: " << rate << " ops/s, "
              << total.error_count() << " errors\n";
    print_table({{"ms", "count", "p50", "p90", "p99", "p99.9", "max"},
                 latencies_row("reads", total.reads_us),
                 latencies_row("writes", total.writes_us)});
    for (const auto& [what, times] : total.errors)
      std::cout << "error: " << what << ": " << times << " times\n";
  }
  return total.errors.empty() ? exit_done : succeeded == 0 ? exit_unavailable : exit_failed;
}

}  // namespace

int run(Session& session, const BenchCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  const std::vector<std::string> nodes = session.nodes();
  std::vector<LoadShare> shares(command.clients);
  for (unsigned i = 0; i < command.clients; ++i) {
    shares[i].number = i;
    shares[i].operations =
        command.operations / command.clients + (i < command.operations % command.clients ? 1 : 0);
    shares[i].contexts.resize(std::max<uint64_t>(command.keys / command.clients, command.pipeline));
  }
  if (command.preload) {
    if (const auto error = preload(*client, session, command, shares)) return session.fail(*error);
  }
  std::atomic<uint64_t> done{0};
  std::atomic<unsigned> finished{0};
  std::vector<Outcome> outcomes(command.clients);
  std::vector<std::thread> threads;
  const auto start = Clock::now();
  for (unsigned i = 0; i < command.clients; ++i) {
    auto endpoint = client::parse_endpoint(nodes[i % nodes.size()]);
    COVEY_ASSERT(endpoint.ok());  // session.client() has parsed them all
    threads.emplace_back([&, i, connection = HttpConnection(std::move(*endpoint))]() mutable {
      outcomes[i] = LoadClient(session, command, std::move(connection), shares[i], done).run();
      finished.fetch_add(1);
    });
  }
  {
    Progress progress("bench");
    while (finished.load() < command.clients) {
      std::this_thread::sleep_for(Milliseconds(5));
      progress.show(static_cast<double>(done.load()) / static_cast<double>(command.operations), done.load());
    }
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  Outcome total;
  for (const Outcome& outcome : outcomes) {
    total.reads_us.add(outcome.reads_us);
    total.writes_us.add(outcome.writes_us);
    for (const auto& [what, times] : outcome.errors) total.errors[what] += times;
  }
  return print_outcome(session, total, seconds);
}

}  // namespace covey::cli
