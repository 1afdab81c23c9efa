// The vectors of golden.txt, which golden.py computes with Python's fsum and fractions.
#pragma once

#include "gpu/tests/tools.h"

namespace covey::agg::test {

struct Golden {
  std::string name;
  ColumnType type = ColumnType::kFloat64;
  std::vector<Value> values;
  std::vector<std::pair<std::string, std::string>> answers;  // keyword and words
};

std::vector<Golden> read_golden();
// The answers of one case, each as a query of its own and all in one.
std::vector<Query> queries_for(const Golden& golden, bool grouped);
// Each vector's rows and plan, alone and grouped.
struct GoldenCase {
  const Golden& golden;
  const Schema& schema;
  const std::vector<Row>& rows;
  const Plan& plan;
  bool grouped;
};
template <class Check>
void for_each_golden(Check check) {
  for (const Golden& golden : read_golden()) {
    const Schema schema{{{"x", golden.type}, {"g", ColumnType::kString}}};
    std::vector<Row> rows;
    for (const Value& value : golden.values) rows.push_back({0, {value, std::string("a")}, {}});
    for (const bool grouped : {false, true}) {
      const auto plan = plan_of(schema, queries_for(golden, grouped));
      if (plan) check(GoldenCase{golden, schema, rows, *plan, grouped});
    }
  }
}
void check_answers(const Golden& golden, const Plan& plan, const Partials& partials, const std::string& how);

}  // namespace covey::agg::test
