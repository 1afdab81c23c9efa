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

// A copy of a partition, as its node tells of it.
struct CopyTold {
  client::Json clock;  // as GET /v1/cluster tells it
  double came = 0;     // the share of what it lacks that has come and that the clock does not know yet
};

// Updates that one of a partition's copies has and others lack, summed over those that lack them. Throws
// Json::exception if a clock is none.
uint64_t updates_lacking(const std::vector<CopyTold>& copies);

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
