// Clocks and contexts, as peers and disks hand them over.
#include "replication/codec.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  std::string_view bytes = fuzz::view(data, size);
  auto set = decode_dot_set(bytes);
  if (!set) return 0;
  COVEY_ASSERT(encode(*set) == bytes);  // one spelling for each set

  // What is decoded must be fit for the algebra.
  DotSet bases = set->bases(), joined = *set, rest = *set;
  joined.join(bases);
  COVEY_ASSERT(joined == *set);
  COVEY_ASSERT(set->contains(bases));
  rest.subtract(bases);
  COVEY_ASSERT(rest.empty() == !set->has_gaps());
  rest.join(bases);
  COVEY_ASSERT(rest == *set);
  rest.intersect(bases);
  COVEY_ASSERT(rest == bases);
  rest.subtract_bases(*set);
  COVEY_ASSERT(rest.empty());
  return 0;
}
