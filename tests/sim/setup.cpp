#include "tests/sim/setup.h"

#include <bit>

#include "tests/sim/failure.h"

namespace covey::sim {
namespace {

uint64_t in_range(const std::string& text, uint64_t low, uint64_t high) {
  uint64_t value = parse_number(text);
  if (value < low || value > high) {
    throw ScenarioError(text + " is not between " + std::to_string(low) + " and " + std::to_string(high));
  }
  return value;
}

const char* durability_text(Durability durability) {
  switch (durability) {
    case Durability::sync:
      return "sync";
    case Durability::interval:
      return "interval";
    case Durability::none:
      return "none";
  }
  return "sync";
}

}  // namespace

bool apply_setup_line(Setup& setup, const std::vector<std::string>& words) {
  if (words.size() < 2) return false;
  const std::string& name = words[0];
  const std::string& value = words[1];
  if (name == "seed") {
    setup.seed = parse_number(value);
  } else if (name == "nodes") {
    setup.shards.assign(in_range(value, 1, nodes_max), setup.shards.empty() ? 1 : setup.shards.front());
  } else if (name == "shards") {
    if (words.size() == 2) {
      setup.shards.assign(setup.shards.size(), static_cast<uint32_t>(in_range(value, 1, 4)));
    } else {
      if (words.size() - 1 != setup.shards.size())
        throw ScenarioError("shards: one number, or one for each node");
      for (size_t i = 1; i < words.size(); ++i)
        setup.shards[i - 1] = static_cast<uint32_t>(in_range(words[i], 1, 4));
    }
  } else if (name == "members") {
    setup.members = static_cast<uint32_t>(in_range(value, 0, nodes_max));
  } else if (name == "replicas") {
    setup.replicas = static_cast<uint32_t>(in_range(value, 1, 16));
  } else if (name == "partitions") {
    setup.partitions = static_cast<uint32_t>(in_range(value, 1, 1024));
    if (!std::has_single_bit(setup.partitions)) throw ScenarioError("partitions: a power of two");
  } else if (name == "durability") {
    if (value == "sync")
      setup.durability = Durability::sync;
    else if (value == "interval")
      setup.durability = Durability::interval;
    else if (value == "none")
      setup.durability = Durability::none;
    else
      throw ScenarioError("durability: sync, interval or none");
  } else if (name == "storage") {
    if (value != "memory" && value != "rocksdb") throw ScenarioError("storage: memory or rocksdb");
    setup.rocksdb = value == "rocksdb";
  } else if (name == "siblings") {
    setup.siblings_max = static_cast<uint32_t>(in_range(value, 1, 1000));
  } else if (name == "log") {
    setup.log_entries_max = in_range(value, 2, 1'000'000'000);
  } else if (name == "message-bytes") {
    setup.message_bytes_max = static_cast<uint32_t>(in_range(value, 64, 1 << 24));
  } else if (name == "transfers") {
    setup.transfer_bytes_per_second = in_range(value, 0, 1 << 30);
  } else if (name == "filled-beside") {
    setup.filled_beside_max = in_range(value, 0, 1'000'000'000);
  } else if (name == "stand-ins") {
    setup.stand_in_bytes_max = in_range(value, 0, 1ull << 40);
  } else if (name == "gossip") {
    setup.gossip_interval_us = parse_duration_us(value);
  } else if (name == "pass") {
    setup.pass_us = parse_duration_us(value);
  } else {
    return false;
  }
  return true;
}

std::vector<std::string> setup_lines(const Setup& setup) {
  std::string shards = "shards";
  for (uint32_t count : setup.shards) shards += " " + std::to_string(count);
  return {"seed " + std::to_string(setup.seed),
          "nodes " + std::to_string(setup.nodes()),
          shards,
          "members " + std::to_string(setup.members),
          "replicas " + std::to_string(setup.replicas),
          "partitions " + std::to_string(setup.partitions),
          std::string("durability ") + durability_text(setup.durability),
          std::string("storage ") + (setup.rocksdb ? "rocksdb" : "memory"),
          "siblings " + std::to_string(setup.siblings_max),
          "log " + std::to_string(setup.log_entries_max),
          "message-bytes " + std::to_string(setup.message_bytes_max),
          "transfers " + std::to_string(setup.transfer_bytes_per_second),
          "filled-beside " + std::to_string(setup.filled_beside_max),
          "stand-ins " + std::to_string(setup.stand_in_bytes_max),
          "gossip " + duration_text(setup.gossip_interval_us),
          "pass " + duration_text(setup.pass_us)};
}

}  // namespace covey::sim
