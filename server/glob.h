// Patterns as Redis has them: * any bytes, ? one byte, [abc] [a-z] [^a] one of these, \ takes what follows as
// it is.
#pragma once

#include <string>
#include <string_view>

namespace covey::server {

// Takes time of at most the product of both lengths.
bool matches_glob(std::string_view pattern, std::string_view text);

// What every text that matches begins with.
std::string literal_prefix(std::string_view pattern);

}  // namespace covey::server
