#pragma once

#include <cstdint>

namespace covey::server {

uint64_t random_bits();  // from the system

}  // namespace covey::server
