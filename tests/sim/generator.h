// How a seed becomes a scenario: what is drawn for it.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/generate.h"
#include "tests/sim/random.h"
#include "tests/sim/setup.h"

namespace covey::sim {

// What is drawn apart changes nothing else of a seed.
inline constexpr uint64_t apart_tables = 0x7ab1e5ull << 32;
inline constexpr uint64_t apart_room = 0x5ace00ull << 32;
inline constexpr uint64_t apart_transfers = 0x7fe4ull << 32;
inline constexpr uint64_t apart_stand_ins = 0x57a4d1ull << 32;
inline constexpr uint64_t apart_absence = 0xab5e4ceull << 32;
inline constexpr uint64_t apart_repairs = 0x4e9a145ull << 32;
inline constexpr uint64_t apart_types = 0x7e9e5ull << 32;
inline constexpr uint64_t apart_members = 0x3e3be45ull << 32;
inline constexpr uint64_t apart_moving = 0x304146ull << 32;
inline constexpr uint64_t apart_interrupted = 0x147e44ull << 32;

class Generator {
 public:
  explicit Generator(const GenerateOptions& options) : options_(options), random_(options.seed * 2 + 1) {}

  std::vector<std::string> all();

 private:
  struct Timed {
    uint64_t at_us;
    size_t order;
    std::string line;
  };

  void at(uint64_t at_us, std::string line) { timed_.push_back({at_us, timed_.size(), std::move(line)}); }
  std::string node() { return "n" + std::to_string(random_.between(1, setup_.nodes())); }

  void draw_setup();
  void draw_network();
  std::string level();
  std::string context_for(const std::string& key);
  void draw_clients();

  // generate_faults.cpp
  uint64_t soon(uint64_t t, uint64_t most_us) { return t + random_.between(1'000, most_us); }
  void draw_faults(const std::string& kind);
  void draw_partition(uint64_t t);
  void draw_link_fault(uint64_t t);
  void draw_crash(uint64_t t);
  void draw_disk_fault(uint64_t t);
  void draw_clock_fault(uint64_t t);
  void draw_table_damage();

  // generate_shapes.cpp
  static std::string name(uint64_t number) { return "n" + std::to_string(number); }
  std::vector<std::string> shuffled_nodes(Random& random) const;
  uint64_t calm_us();
  void draw_absence();
  void draw_membership();
  void draw_unseen_writes();
  void draw_interrupted_transfer();
  void draw_repairs();

  void draw_changes();  // generate_changes.cpp

  void converge_majority(std::vector<std::string>& lines);
  std::vector<std::string> assembled();

  GenerateOptions options_;
  Random random_;
  Setup setup_;
  uint64_t keys_ = 1;
  uint64_t end_us_ = 0;
  uint64_t lean_ = 0;
  uint64_t strict_share_ = 0;
  bool moves_ = false;                              // members come and go
  bool transfers_ = false;                          // whole transfers are many and long
  std::vector<std::vector<std::string>> contexts_;  // names of contexts, by key
  std::vector<Timed> timed_;
};

}  // namespace covey::sim
