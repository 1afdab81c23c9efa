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
void check_answers(const Golden& golden, const Plan& plan, const Partials& partials, const std::string& how);

}  // namespace covey::agg::test
