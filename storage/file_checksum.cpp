#include "storage/file_checksum.h"

#include <string>
#include <string_view>

#include "storage/crc32c.h"

namespace covey {

namespace {

// Persisted in manifests and backups.
constexpr const char* generator_name = "FileChecksumCrc32c";
constexpr const char* factory_name = "FileChecksumGenCrc32cFactory";

class Generator final : public rocksdb::FileChecksumGenerator {
 public:
  void Update(const char* data, size_t size) override { crc_ = crc32c({data, size}, crc_); }
  void Finalize() override {
    for (int shift = 24; shift >= 0; shift -= 8) checksum_.push_back(static_cast<char>(crc_ >> shift));
  }
  std::string GetChecksum() const override { return checksum_; }
  const char* Name() const override { return generator_name; }

 private:
  uint32_t crc_ = 0;
  std::string checksum_;
};

class Factory final : public rocksdb::FileChecksumGenFactory {
 public:
  // nullptr: another kind is wanted.
  std::unique_ptr<rocksdb::FileChecksumGenerator> CreateFileChecksumGenerator(
      const rocksdb::FileChecksumGenContext& context) override {
    const std::string_view wanted = context.requested_checksum_func_name;
    if (!wanted.empty() && wanted != generator_name) return nullptr;
    return std::make_unique<Generator>();
  }
  const char* Name() const override { return factory_name; }
};

}  // namespace

std::shared_ptr<rocksdb::FileChecksumGenFactory> file_checksum_factory() {
  return std::make_shared<Factory>();
}

}  // namespace covey
