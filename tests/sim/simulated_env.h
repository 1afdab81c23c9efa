// RocksDB's view of simulated files.
#pragma once

#include <rocksdb/env.h>

#include <memory>

#include "tests/sim/simulated_files.h"

namespace covey::sim {

// An environment with these files; time and threads are the real ones.
std::unique_ptr<rocksdb::Env> make_simulated_env(std::shared_ptr<SimulatedFiles> files);

}  // namespace covey::sim
