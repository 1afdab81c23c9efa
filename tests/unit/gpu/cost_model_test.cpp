#include "gpu/cost_model.h"

#include <catch2/catch.hpp>

namespace covey::agg::cost_model_test {
namespace {

// What several threads share there is for ThreadSanitizer to see.
TEST_CASE("how fast memory is read is measured by several threads at once", "[gpu]") {
  for (const uint32_t threads : {1u, 4u}) CHECK(measure_cpu_bytes_per_us(threads, 1 << 20) > 0);
}

}  // namespace
}  // namespace covey::agg::cost_model_test
