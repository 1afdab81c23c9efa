#include "server/random_bits.h"

#include <random>

namespace covey::server {

uint64_t random_bits() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

}  // namespace covey::server
