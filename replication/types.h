// The core's strong types: swapping two of them does not compile.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace covey {

// A node's name as its configuration gives it; unique in a cluster, 1 to 64 characters of [A-Za-z0-9_-].
struct NodeId {
  std::string name;
  auto operator<=>(const NodeId&) const = default;
};

// One life of a node's data directory. Highest 24 bits: a tag of the node's name; lowest 40: the life,
// random.
struct Actor {
  uint64_t value = 0;
  auto operator<=>(const Actor&) const = default;
};

// Counts the writes that an actor accepted in one partition, from 1. Zero: none.
struct Counter {
  uint64_t value = 0;
  auto operator<=>(const Counter&) const = default;
};

// The name of one accepted write or delete, unique within a partition.
struct Dot {
  Actor actor;
  Counter counter;
  auto operator<=>(const Dot&) const = default;
};

struct PartitionId {
  uint32_t value = 0;
  auto operator<=>(const PartitionId&) const = default;
};

// Hybrid logical time: highest 48 bits milliseconds since 1970, lowest 16 a logical count.
struct Hlc {
  uint64_t value = 0;
  auto operator<=>(const Hlc&) const = default;
  static constexpr Hlc from_ms(uint64_t ms) { return Hlc{ms << 16}; }
  constexpr uint64_t ms() const { return value >> 16; }
};

// The two times that every step of the core is given; the core never asks a clock.
struct Now {
  uint64_t tick_us = 0;  // monotonic microseconds since some start, for time limits and intervals
  uint64_t wall_ms = 0;  // milliseconds since 1970 as this machine believes, for HLC and expiry
};

// A store's count of writes: a write is durable once the store has told an Lsn at least as high.
struct Lsn {
  uint64_t value = 0;
  auto operator<=>(const Lsn&) const = default;
};

// Where a value stands: a table's name and the key's bytes (1 to 2,048).
struct TableKey {
  std::string table;
  std::string key;
  auto operator<=>(const TableKey&) const = default;
};

// A table's name is 1 to 64 of [A-Za-z0-9_.-]; a key 1 to 2,048 bytes, any.
bool is_table_name(std::string_view name);
inline constexpr size_t key_bytes_max = 2048;
inline bool is_table_key(std::string_view table, std::string_view key) {
  return is_table_name(table) && !key.empty() && key.size() <= key_bytes_max;
}

uint32_t node_tag(std::string_view node_name);                // 24 bits
Actor make_actor(std::string_view node_name, uint64_t life);  // life: any random bits, the lowest 40 count

// Which of `partitions` (a power of two) holds the key: the highest bits of a 64-bit hash of table and key.
PartitionId partition_of(std::string_view table, std::string_view key, uint32_t partitions);

}  // namespace covey
