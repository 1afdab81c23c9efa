// What covey-bench was asked to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace covey::bench {

struct Options {
  std::string coveyd;  // the program
  std::string
      directory;  // data of the servers goes to fresh directories in it: should be on the disk to be measured
  std::vector<std::string> parts = {"throughput", "columns", "convergence", "memory",
                                    "filling",    "restart", "contention",  "tail"};
  std::vector<uint32_t> nodes = {1, 3};
  std::vector<std::string> durabilities = {"sync", "interval", "none"};
  std::vector<uint32_t> pipelines = {1, 16};
  std::vector<std::string> peers = {"redis", "redis-benchmark", "keydb", "etcd", "rocksdb"};
  bool http = true;  // covey is asked over HTTP, too
  uint32_t connections = 50;
  uint32_t value_bytes = 100;
  uint64_t keys = 100'000;
  uint32_t rounds = 3;
  double seconds = 2;
  uint32_t threads = 1;  // of a coveyd
  std::string markdown;  // file to write; empty: none
  std::string command;   // how this program was called

  bool wants(const std::vector<std::string>& list, const char* word) const {
    for (const std::string& entry : list) {
      if (entry == word) return true;
    }
    return false;
  }
};

}  // namespace covey::bench
