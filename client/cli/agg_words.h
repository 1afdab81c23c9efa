// The words of `covey agg` as a request's JSON: 'count, sum(temp), quantile(temp, 0.5, 0.99)' and
// 'temp >= 20 and site in (eu, us)'. Pure.
#pragma once

#include <string>
#include <string_view>

#include "client/client.h"
#include "replication/result.h"

namespace covey::cli {

using client::Json;

struct AggWordsOptions {
  bool exact_quantiles = false;
};

// {"count": {"count": "*"}, "sum(temp)": {"sum": "temp"}, ...}: each is named by its own words. The error is
// a sentence that says what is allowed.
Result<Json, std::string> aggregates_from(std::string_view words, AggWordsOptions options = {});

// A list of conditions, joined by `and`: COLUMN OP VALUE with = != < <= > >=, in (A, B), between A and B,
// is null, is not null. Values are numbers, words, or text in quotes of either kind.
Result<Json, std::string> conditions_from(std::string_view words);

}  // namespace covey::cli
