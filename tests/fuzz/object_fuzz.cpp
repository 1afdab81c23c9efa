// Objects, as peers and disks hand them over.
#include "replication/codec.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  std::string_view bytes = fuzz::view(data, size);
  auto object = decode_object(bytes);
  if (!object) return 0;
  COVEY_ASSERT(encode(*object) == bytes);

  Clock clock = object->context;
  Object filled = fill(*object, clock);
  COVEY_ASSERT(fill(strip(filled, clock), clock) == filled);
  COVEY_ASSERT(merge(filled, filled) == filled);
  discard(filled, clock);
  resolve(filled, Conflicts::last_write_wins);
  COVEY_ASSERT(filled.versions.size() <= 1);
  object_hash({"t", "k"}, filled);
  return 0;
}
