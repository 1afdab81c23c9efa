#include "replication/partition.h"

#include "replication/codec.h"

namespace covey {
namespace {
constexpr uint8_t partition_format = 2;
constexpr uint8_t ready_mark = 1, left_mark = 2;
}  // namespace

std::string encode_partition(const PartitionRecord& partition) {
  std::string bytes;
  Writer out(bytes);
  out.u8(partition_format);
  encode(out, partition.clock);
  encode(out, partition.voids);
  out.u64(partition.minted_actor.value);
  out.varint(partition.minted);
  out.u64(partition.state_hash);
  out.varint(partition.objects);
  out.varint(partition.log);
  out.varint(partition.residual);
  out.u8(partition.ready ? ready_mark : partition.left ? left_mark : 0);
  out.varint(partition.bytes);
  return bytes;
}

std::optional<Partition> decode_partition(PartitionId id, std::string_view bytes) {
  Reader in(bytes);
  const uint8_t format = in.u8();
  if (format < 1 || format > partition_format) return std::nullopt;
  Partition out;
  out.id = id;
  auto clock = decode_dot_set(in);
  if (!clock) return std::nullopt;
  auto voids = decode_dot_set(in);
  if (!voids) return std::nullopt;
  out.clock = std::move(*clock);
  out.voids = std::move(*voids);
  out.minted_actor.value = in.u64();
  out.minted = in.varint();
  out.state_hash = in.u64();
  out.objects = in.varint();
  out.log = in.varint();
  out.residual = in.varint();
  const uint8_t mark = in.u8();
  out.ready = mark == ready_mark;
  out.left = mark == left_mark;
  out.bytes_known = format >= 2;
  if (out.bytes_known) out.bytes = in.varint();
  if (!in.done()) return std::nullopt;
  return out;
}

}  // namespace covey
