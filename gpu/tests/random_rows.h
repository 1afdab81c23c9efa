// Random tables and questions for the property tests.
#pragma once

#include "gpu/tests/tools.h"

namespace covey::agg::test {

// x float64, n int64, site string, kind string, k int64 with few values.
Schema random_schema();
struct RowsOptions {
  bool siblings = false;
  bool special = false;
};
std::vector<Row> random_rows(size_t count, RowsOptions options, Random& random);
Query random_query(Random& random);

}  // namespace covey::agg::test
