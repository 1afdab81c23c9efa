// Keys of all column families, as a damaged disk may hand them over.
#include "replication/codec.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  std::string_view bytes = fuzz::view(data, size);
  if (auto key = decode_object_key(bytes)) {
    Reader in(bytes);
    COVEY_ASSERT(object_key(PartitionId{in.u32_big()}, key->table, key->key) == bytes);
  }
  if (auto key = decode_dot_value(bytes)) COVEY_ASSERT(dot_value(key->table, key->key) == bytes);
  if (auto key = decode_dot_key(bytes)) COVEY_ASSERT(dot_key(key->partition, key->dot) == bytes);
  if (auto key = decode_expiry_key(bytes)) {
    COVEY_ASSERT(expiry_key(key->partition, key->expires_ms, key->key.table, key->key.key) == bytes);
  }
  std::string end = after_prefix(std::string(bytes));
  COVEY_ASSERT(end.empty() || bytes < end);
  return 0;
}
