#include "server/column_checkpoint.h"

#include <bit>
#include <cstring>
#include <span>
#include <utility>

#include "gpu/bytes.h"
#include "gpu/checkpoint.h"
#include "gpu/value_codec.h"
#include "replication/hash.h"

namespace covey::server {
namespace {

constexpr uint64_t part_magic = 0x7472617079766f63;  // "covypart"
constexpr uint64_t format = 1;
// Of how fields are read out of values: a checkpoint of another one is of other rows.
constexpr uint64_t reading = 1;
constexpr uint64_t part_seed = 0x70617274;  // "part"
constexpr size_t part_key_bytes_max = 2048;
constexpr size_t definition_bytes_max = 1 << 20;

agg::Error refused(const char* why) { return {agg::ErrorCode::kCorrupt, why, ""}; }
agg::Error damaged() { return refused("it is damaged or cut short"); }

uint64_t checksum_of(std::string_view body, uint64_t before) {
  return hash_bytes(body, hash_pair(part_seed, before));
}

// Length, checksum, body. The checksum also covers that of the section before.
uint64_t append_section(std::string& out, const std::string& body, uint64_t before) {
  agg::ByteWriter head;
  const uint64_t checksum = checksum_of(body, before);
  head.u64(body.size());
  head.u64(checksum);
  out.append(head.bytes()).append(body);
  return checksum;
}

// nullopt: damaged.
std::optional<std::string_view> take_section(std::string_view& bytes, uint64_t& before) {
  agg::ByteReader head(bytes);
  const uint64_t size = head.u64();
  const uint64_t checksum = head.u64();
  if (!head.ok() || size > head.left()) return std::nullopt;
  const std::string_view body = bytes.substr(bytes.size() - head.left(), size);
  bytes.remove_prefix(bytes.size() - head.left() + size);
  if (checksum_of(body, before) != checksum) return std::nullopt;
  before = checksum;
  return body;
}

template <class Each>
void each_live(const agg::ColumnStore& columns, const Each& each) {
  for (uint32_t tile = 0; tile < columns.tiles(); ++tile) {
    const uint64_t* live = columns.live(tile);
    for (uint32_t word = 0; word < columns.capacity(tile) / 64; ++word) {
      for (uint64_t bits = live[word]; bits != 0; bits &= bits - 1) {
        each(tile * columns.tile_rows() + word * 64 + static_cast<agg::Slot>(std::countr_zero(bits)));
      }
    }
  }
}

std::string head_of(const PartName& name, uint64_t state) {
  agg::ByteWriter out;
  out.u64(part_magic);
  out.varint(format);
  out.varint(reading);
  out.text(name.table.name());
  out.text(name.table.definition());
  out.varint(name.partition.value);
  out.varint(name.partitions);
  out.u64(state);
  return out.take();
}

std::string rows_of(const agg::ColumnStore& columns, const KeyIndex& keys, const ExpiringRows& expiring) {
  agg::ByteWriter out;
  each_live(columns, [&](agg::Slot slot) { out.text(keys.key(slot)); });
  out.varint(expiring.size());
  for (const auto& [slot, versions] : expiring) {
    out.varint(slot);
    out.varint(versions.size());
    for (const RowState& version : versions) {
      out.zigzag(version.time);
      out.varint(version.expires_ms);
      for (const agg::Value& value : version.values) agg::write_value(out, value);
    }
  }
  return out.take();
}

bool read_rows(agg::ByteReader& in, RestoredPart& part) {
  bool good = true;
  part.keys.reserve(part.columns.rows());
  each_live(part.columns, [&](agg::Slot slot) {
    good = good && in.ok() && part.keys.restore(slot, in.text(part_key_bytes_max)) && in.ok();
  });
  for (uint64_t rows = good ? in.varint() : 0; rows > 0 && in.ok(); --rows) {
    const uint64_t slot = in.varint();
    if (slot >= agg::kSlotsMax || !part.columns.is_live(static_cast<agg::Slot>(slot))) return false;
    auto& versions = part.expiring[static_cast<agg::Slot>(slot)];
    for (uint64_t left = in.varint(); left > 0 && in.ok(); --left) {
      RowState& version = versions.emplace_back();
      version.time = in.zigzag();
      version.expires_ms = in.varint();
      for (size_t i = 0; i < part.columns.schema().columns.size(); ++i)
        version.values.push_back(agg::read_value(in));
    }
  }
  return good && in.ended();
}

}  // namespace

std::string checkpoint_of(const PartName& name, uint64_t state, const agg::ColumnStore& columns,
                          const KeyIndex& keys, const ExpiringRows& expiring) {
  std::string out;
  out.reserve(columns.bytes() + keys.bytes() / 2);
  uint64_t checksum = append_section(out, head_of(name, state), 0);
  checksum = append_section(out, rows_of(columns, keys, expiring), checksum);
  agg::write_checkpoint(columns, std::to_string(checksum), [&](std::span<const std::byte> bytes) {
    out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return true;
  });
  return out;
}

agg::Result<RestoredPart> restore_part(std::string_view bytes, const PartName& name,
                                       agg::ColumnStore::Dictionaries dictionaries) {
  uint64_t checksum = 0;
  const auto head = take_section(bytes, checksum);
  if (!head) return damaged();
  agg::ByteReader in(*head);
  if (in.u64() != part_magic) return damaged();
  if (in.varint() != format) return refused("it is of another version of covey");
  if (in.varint() != reading) return refused("it was read out of values by other rules");
  if (in.text(part_key_bytes_max) != name.table.name() ||
      in.text(definition_bytes_max) != name.table.definition())
    return refused("its table was defined otherwise");
  if (in.varint() != name.partition.value || in.varint() != name.partitions)
    return refused("it is of another partition");
  const uint64_t state = in.u64();
  if (!in.ended()) return damaged();
  const auto rows = take_section(bytes, checksum);
  if (!rows) return damaged();
  auto columns = agg::restore_checkpoint(bytes, std::move(dictionaries));
  if (!columns) return columns.error();
  if (columns->note != std::to_string(checksum) || columns->store.schema() != name.table.schema())
    return damaged();
  RestoredPart part{state, std::move(columns->store), {}, {}};
  agg::ByteReader rest(*rows);
  if (!read_rows(rest, part)) return damaged();
  return part;
}

}  // namespace covey::server
