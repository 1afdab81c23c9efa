// A slow evaluation of queries over plain rows, as a reader would write it down. Numbers in the tests that
// use it are small multiples of 1/1024, so that sums in 128-bit integers are exact.
#pragma once

#include "gpu/tests/tools.h"

namespace covey::agg::test {

// The answer of one query as text_of(QueryAnswer) writes it.
std::string reference_answer(const Schema& schema, const std::vector<Row>& rows, const Query& query,
                             Siblings siblings);

}  // namespace covey::agg::test
