#include "gpu/tests/golden.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "gpu/order.h"
#include "gpu/tests/check.h"

namespace covey::agg::test {

namespace {

Value parse(ColumnType type, const std::string& word) {
  if (type == ColumnType::kInt64) return static_cast<int64_t>(std::stoll(word));
  return float_of(std::stoull(word, nullptr, 16));
}

}  // namespace

std::vector<Golden> read_golden() {
  std::vector<Golden> all;
  const char* const elsewhere =
      std::getenv("COVEY_AGG_GOLDEN");  // where the program was carried away from its checkout
  std::ifstream in(elsewhere != nullptr ? elsewhere : COVEY_AGG_GOLDEN);
  CHECK(in.good());
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string keyword, word;
    words >> keyword;
    if (keyword == "case") {
      Golden& golden = all.emplace_back();
      words >> golden.name >> word;
      golden.type = word == "int64" ? ColumnType::kInt64 : ColumnType::kFloat64;
    } else if (keyword == "values") {
      while (words >> word) all.back().values.push_back(parse(all.back().type, word));
    } else if (keyword != "end") {
      std::string rest;
      std::getline(words >> std::ws, rest);
      all.back().answers.emplace_back(keyword, rest);
    }
  }
  return all;
}

namespace {

Aggregate aggregate_for(const std::string& keyword, const std::string& words) {
  if (keyword == "sum") return aggregate(AggregateKind::kSum, "x");
  if (keyword == "avg") return aggregate(AggregateKind::kAvg, "x");
  if (keyword == "min") return aggregate(AggregateKind::kMin, "x");
  if (keyword == "max") return aggregate(AggregateKind::kMax, "x");
  if (keyword == "distinct") return aggregate(AggregateKind::kDistinct, "x");
  if (keyword.starts_with("var")) return aggregate(AggregateKind::kVar, "x", keyword.back() == '1');
  if (keyword.starts_with("stddev")) return aggregate(AggregateKind::kStddev, "x", keyword.back() == '1');
  const double q = float_of(std::stoull(words.substr(0, 16), nullptr, 16));
  return quantiles("x", {q}, QuantileMode::kExact);
}

std::string expected(const std::string& keyword, const std::string& words) {
  return keyword == "quantile" ? words.substr(17) : words;
}

}  // namespace

std::vector<Query> queries_for(const Golden& golden, bool grouped) {
  std::vector<Query> queries(1);
  for (const auto& [keyword, words] : golden.answers) {
    queries[0].aggregates.push_back(aggregate_for(keyword, words));
    Query one;
    one.aggregates.push_back(queries[0].aggregates.back());
    queries.push_back(one);
  }
  for (Query& query : queries) {
    if (grouped) query.group_by = {"g"};
  }
  return queries;
}

void check_answers(const Golden& golden, const Plan& plan, const Partials& partials, const std::string& how) {
  for (size_t query = 0; query < plan.queries().size(); ++query) {
    const Answered answer = answer_of(partials, plan, query);
    for (const GroupAnswer& group : answer.groups) {
      CHECK_EQUAL(group.rows, golden.values.size());
      for (size_t i = 0; i < group.aggregates.size(); ++i) {
        const auto& [keyword, words] = golden.answers[query == 0 ? i : query - 1];
        std::string told = golden.name;
        for (const std::string& word : {" " + keyword, " " + how, std::string(": ")}) told += word;
        CHECK_EQUAL(told + text_of(group.aggregates[i].values[0]), told + expected(keyword, words));
      }
    }
  }
}

}  // namespace covey::agg::test
