#include "storage/crc32c.h"

#include <catch2/catch.hpp>
#include <string>

namespace covey {

TEST_CASE("CRC-32C has its published values, whole and in parts", "[storage]") {
  // RFC 3720, appendix B.4, and the usual check value.
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);
  const std::string text = "The log is read before it is believed.";
  for (size_t cut = 0; cut <= text.size(); ++cut)
    CHECK(crc32c(text.substr(cut), crc32c(text.substr(0, cut))) == crc32c(text));
}

}  // namespace covey
