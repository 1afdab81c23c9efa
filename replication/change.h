// Changes to counters, sets and hashes, as requests carry them.
#pragma once

#include <cstdint>
#include <string>

namespace covey {

// Numbers are sent: never reused.
enum class ChangeKind : uint8_t {
  increment = 1,              // by an integer; name: a token, or empty
  increment_float = 2,        // likewise by any number
  add = 3,                    // name: an element
  remove = 4,                 // name: an element
  set_field = 5,              // name, value
  set_field_if_absent = 6,    // name, value
  remove_field = 7,           // name
  increment_field = 8,        // name; value: an integer
  increment_field_float = 9,  // name; value: any number
  expire = 10,                // the request's expires_ms becomes the key's; 0: it does not expire
  count
};

struct Change {
  ChangeKind kind = ChangeKind::increment;
  std::string name;   // up to element_bytes_max; of a token up to change_token_bytes_max
  std::string value;  // the number as text; the field's bytes
};

inline constexpr size_t element_bytes_max = 64 * 1024;
inline constexpr size_t change_token_bytes_max = 128;

}  // namespace covey
