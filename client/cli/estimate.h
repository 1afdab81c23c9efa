// How long replicas still need to become equal: from the updates that they lack, as their clocks tell, and
// how fast these become fewer.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "client/client.h"

namespace covey::cli {

// Updates that one of the copies has and others lack, summed over those that lack them. `clocks`: one for
// each copy of a partition, as GET /v1/cluster tells it. Throws Json::exception on anything else.
uint64_t updates_lacking(const std::vector<client::Json>& clocks);

class ConvergenceEstimate {
 public:
  // What was found at a moment (in seconds of any clock); nullopt: not all copies could be asked. Moments
  // rise.
  void add(double seconds, std::optional<uint64_t> lacking, double bytes_of_one);

  // Until none is lacking; nullopt: not known, and text() says why.
  std::optional<double> seconds_left() const;
  // "120 updates (about 12.0 KiB) are outstanding, which takes about 3 s at the present rate".
  std::string text() const;

 private:
  struct Sample {
    double seconds = 0;
    uint64_t lacking = 0;
  };
  std::deque<Sample> samples_;  // of the last seconds
  bool known_ = false;
  double bytes_of_one_ = 0;
};

}  // namespace covey::cli
