#include "storage/crc32c.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "storage/file_checksum.h"

namespace covey::crc32c_test {

TEST_CASE("CRC-32C has its published values, whole and in parts", "[storage]") {
  // RFC 3720, appendix B.4, and the usual check value.
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);
  const std::string text = "The log is read before it is believed.";
  for (size_t cut = 0; cut <= text.size(); ++cut)
    CHECK(crc32c(text.substr(cut), crc32c(text.substr(0, cut))) == crc32c(text));
}

// Long ones are taken in stretches side by side where the processor can.
TEST_CASE("a table's checksum is the one that RocksDB makes, however it comes", "[storage]") {
  std::string bytes;
  uint64_t state = 1;
  while (bytes.size() < 20'000) {
    state = state * 6364136223846793005 + 1442695040888963407;
    bytes.push_back(static_cast<char>(state >> 33));
  }
  const auto ours = file_checksum_factory();
  const auto theirs = rocksdb::GetFileChecksumGenCrc32cFactory();
  CHECK(std::string(ours->Name()) == theirs->Name());
  for (const size_t size : {0u, 1u, 7u, 8u, 3'071u, 3'072u, 3'080u, 6'143u, 6'145u, 20'000u}) {
    for (const size_t step : {20'000u, 4'096u, 37u}) {
      const auto mine = ours->CreateFileChecksumGenerator({});
      const auto expected = theirs->CreateFileChecksumGenerator({});
      for (size_t at = 0; at < size; at += step) mine->Update(bytes.data() + at, std::min(step, size - at));
      expected->Update(bytes.data(), size);
      mine->Finalize();
      expected->Finalize();
      CHECK(mine->GetChecksum() == expected->GetChecksum());
      CHECK(std::string(mine->Name()) == expected->Name());
    }
  }
  rocksdb::FileChecksumGenContext other;
  other.requested_checksum_func_name = "another";
  CHECK(ours->CreateFileChecksumGenerator(other) == nullptr);
}

}  // namespace covey::crc32c_test
