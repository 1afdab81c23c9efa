// A configuration file with anything in it: a node says what is wrong, it does not crash.
#include "server/config.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  auto config = server::parse_config("fuzz.json", fuzz::view(data, size));
  if (!config.ok()) {
    COVEY_ASSERT(!config.error().message.empty());
    return 0;
  }
  COVEY_ASSERT(!config->node.empty() && config->replicas >= 1 && config->weight > 0);
  COVEY_ASSERT(config->partitions >= 1 && (config->partitions & (config->partitions - 1)) == 0);
  return 0;
}
