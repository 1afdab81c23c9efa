// Requests that wait for a node's columns at the same time share one pass, and nobody notices.
#include "server/aggregate_pass.h"

#include <catch2/catch.hpp>
#include <future>

#include "server/table_definition.h"
#include "storage/memory_store.h"

namespace covey::server::aggregate_pass_test {
namespace {

constexpr uint32_t partitions = 4;

std::shared_ptr<const ColumnTable> make_table() {
  auto parsed = parse_table_definition(std::string_view(
      R"({"columns": [{"name": "temp", "type": "float64"}, {"name": "count", "type": "int64"}]})"));
  REQUIRE(parsed.ok());
  return make_column_table("readings", *parsed);
}

// An aggregator with some rows, and passes for it.
class Node {
 public:
  explicit Node(size_t waiting_max = 1024) {
    AggregatorOptions options;
    options.columns.shards = 1;
    options.columns.partitions = partitions;
    options.tasks_max = waiting_max;
    options.threads = 1;
    Aggregator::Shards shards;
    shards.mark = [this](uint32_t shard, uint64_t number) {
      std::vector<ColumnEvent> events(1);
      events[0].kind = ColumnEvent::Kind::mark;
      events[0].number = number;
      aggregator_->push(shard, std::move(events));
    };
    aggregator_ = std::make_unique<Aggregator>(options, std::make_unique<MemoryStore>(), std::move(shards));
    std::vector<ColumnEvent> events(1);
    events[0].kind = ColumnEvent::Kind::defined;
    events[0].table = table_;
    for (int i = 0; i < 1000; ++i) {
      ColumnEvent& row = events.emplace_back();
      row.table = table_;
      row.key = std::to_string(i);
      row.partition = partition_of("readings", row.key, partitions);
      row.versions = {{i, 0, {i / 8.0, int64_t{i % 50}}}};
    }
    aggregator_->push(0, std::move(events));
    while (!whole()) std::this_thread::yield();
  }

  // Holds the thread until release().
  void hold() {
    std::promise<void> begun;
    auto release = released_.get_future().share();
    REQUIRE(aggregator_->submit([&begun, release](Aggregator::Turn&) {
      begun.set_value();
      release.wait();
    }));
    begun.get_future().wait();
  }
  void release() { released_.set_value(); }

  PartitionsAsk ask(const std::string& queries, std::vector<uint32_t> ids = {0, 1, 2, 3}) const {
    auto read = read_queries("readings", queries);
    REQUIRE(read.ok());
    PartitionsAsk out;
    out.plan = std::make_shared<const agg::Plan>(*agg::Plan::make(table_->schema(), read->queries));
    out.table = table_;
    out.key_sets = read->key_sets;
    out.partitions = std::move(ids);
    return out;
  }
  std::shared_ptr<std::future<PartitionsAnswer>> submit(PartitionsAsk ask) {
    auto answer = std::make_shared<PartitionsAnswer>();
    auto ended = std::make_shared<std::promise<PartitionsAnswer>>();
    auto out = std::make_shared<std::future<PartitionsAnswer>>(ended->get_future());
    const bool taken =
        aggregator_->submit(Pass{std::make_shared<const PartitionsAsk>(std::move(ask)), partitions, answer,
                                 [answer, ended] { ended->set_value(std::move(*answer)); }});
    return taken ? out : nullptr;
  }
  uint64_t scans() const {
    uint64_t scans = 0;
    std::promise<void> done;
    REQUIRE(aggregator_->submit([&](Aggregator::Turn& turn) {
      scans = turn.engine.counters().cpu_scans;
      done.set_value();
    }));
    done.get_future().wait();
    return scans;
  }

 private:
  bool whole() {
    std::promise<bool> answer;
    REQUIRE(aggregator_->submit([&](Aggregator::Turn& turn) {
      const ColumnPart* part =
          turn.columns.find("readings", table_->definition(), PartitionId{partitions - 1});
      answer.set_value(part != nullptr && part->state() == ColumnPart::State::whole);
    }));
    return answer.get_future().get();
  }

  std::shared_ptr<const ColumnTable> table_ = make_table();
  std::promise<void> released_;
  std::unique_ptr<Aggregator> aggregator_;
};

constexpr const char* sum = R"([{"id": "a", "aggregates": {"s": {"sum": "temp"}, "n": {"count": "*"}}}])";
constexpr const char* two = R"([{"id": "a", "aggregates": {"v": {"var": "temp"}}, "where": [{"prefix": "1"}]},
    {"id": "b", "aggregates": {"n": {"count": "*"}}, "where": [{"keys": ["7", "8", "none"]}]}])";
constexpr const char* keys =
    R"([{"id": "a", "aggregates": {"n": {"count": "*"}}, "where": [{"keys": ["9", "8"]}]},
    {"id": "b", "aggregates": {"s": {"sum": "count"}}, "where": [{"prefix": "1"}]}])";
constexpr const char* groups =
    R"([{"id": "a", "group_by": ["count"], "aggregates": {"m": {"max": "temp"}}}])";
constexpr const char* few_groups =
    R"([{"id": "a", "group_by": ["count"], "limit_groups": 49, "aggregates": {"m": {"min": "temp"}}}])";

TEST_CASE("requests that wait share one pass and get the answers of their own") {
  Node node;
  std::vector<PartitionsAsk> asks = {node.ask(sum),     node.ask(two), node.ask(keys),
                                     node.ask(groups),  node.ask(sum), node.ask(two, {3, 1}),
                                     node.ask(sum, {1})};
  std::vector<std::string> alone;
  for (const PartitionsAsk& ask : asks) alone.push_back(node.submit(ask)->get().partials.encode());
  const uint64_t before = node.scans();
  node.hold();
  std::vector<std::shared_ptr<std::future<PartitionsAnswer>>> waiting;
  for (const PartitionsAsk& ask : asks) waiting.push_back(node.submit(ask));
  node.release();
  for (size_t i = 0; i < asks.size(); ++i) {
    INFO(i);
    PartitionsAnswer answer = waiting[i]->get();
    REQUIRE_FALSE(answer.error);
    CHECK(answer.unanswered.empty());
    CHECK(answer.partials.encode() == alone[i]);
    CHECK(answer.shared_with >= 6);  // the queries of the five for all partitions, but one
  }
  // {0, 2} for five, {3} for six, {1} for seven.
  CHECK(node.scans() - before == 3);
}

TEST_CASE("what fails for one of those who share a pass fails for that one alone") {
  Node node;
  PartitionsAsk gone = node.ask(sum);
  gone.cancellation = std::make_shared<Cancellation>();
  gone.cancellation->cancel();
  PartitionsAsk late = node.ask(sum);
  late.until_us = steady_us();
  PartitionsAsk no_gpu = node.ask(sum);
  no_gpu.device = agg::DeviceChoice::kGpu;
  node.hold();
  auto all = node.submit(node.ask(groups));
  auto few = node.submit(node.ask(few_groups));
  auto cancelled = node.submit(gone);
  auto after = node.submit(late);
  auto elsewhere = node.submit(no_gpu);
  node.release();
  PartitionsAnswer good = all->get();
  REQUIRE_FALSE(good.error);
  CHECK(good.partials.groups(0) == 50);
  PartitionsAnswer bad = few->get();
  REQUIRE_FALSE(bad.error);
  CHECK(bad.partials.selections()[0].failed->code == agg::ErrorCode::kTooManyGroups);
  CHECK(bad.partials.selections()[0].failed->message.find("49") != std::string::npos);
  CHECK(cancelled->get().error->code == agg::ErrorCode::kCancelled);
  CHECK(after->get().error->code == agg::ErrorCode::kCancelled);
  elsewhere->wait();  // an error or not, as there is a device
}

TEST_CASE("a pass is given up when all who want it have") {
  auto scan = std::make_shared<Cancellation::Scan>();
  scan->wanted = 2;
  Cancellation one, other;
  one.join(scan);
  one.cancel();
  one.cancel();
  CHECK_FALSE(scan->stopped);
  other.cancel();
  other.join(scan);
  CHECK(scan->stopped);
}

TEST_CASE("more passes than may wait are refused") {
  Node node(2);
  node.hold();
  auto first = node.submit(node.ask(sum));
  auto second = node.submit(node.ask(two));
  CHECK(node.submit(node.ask(sum)) == nullptr);
  node.release();
  CHECK_FALSE(first->get().error);
  CHECK_FALSE(second->get().error);
  CHECK(node.submit(node.ask(sum)) != nullptr);
}

}  // namespace
}  // namespace covey::server::aggregate_pass_test
