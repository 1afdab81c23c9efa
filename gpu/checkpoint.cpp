// The format is in docs/formats.md: sections of (tag, length, bytes, checksum), the last of which says how
// many there were.
#include "gpu/checkpoint.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "gpu/bytes.h"
#include "gpu/mix.h"
#include "gpu/value_codec.h"

namespace covey::agg {

namespace {

constexpr uint64_t kMagic = 0x74706b6379766f63;  // "covyckpt"
constexpr uint64_t kFormat = 1;
constexpr size_t kNoteMax = 4096;
constexpr uint64_t kSectionMax = uint64_t{1} << 28;
constexpr int kExponentMin = -1074;  // of a double's lowest bit
constexpr int kExponentMax = 1024;   // above its highest

// Never used again for something else.
enum Tag : uint64_t { kHead = 1, kRowGroup = 2, kTile = 3, kSiblingRows = 4, kEnd = 5 };

Error corrupt() {
  return Error{ErrorCode::kCorrupt,
               "the columns' checkpoint is damaged or cut short: rebuild the columns from the objects", ""};
}

class Writer {
 public:
  explicit Writer(const ByteSink& sink) : sink_(sink) {}
  bool section(uint64_t tag, const std::string& body) {
    ++sections_;
    const uint64_t head[2] = {tag, body.size()};
    Checksum sum;
    sum.update(head, sizeof head);
    sum.update(body.data(), body.size());
    const uint64_t tail = sum.value();
    return put(head, sizeof head) && put(body.data(), body.size()) && put(&tail, sizeof tail);
  }
  uint64_t sections() const { return sections_; }

 private:
  bool put(const void* data, size_t size) { return sink_({static_cast<const std::byte*>(data), size}); }
  const ByteSink& sink_;
  uint64_t sections_ = 0;
};

std::string tile_body(const ColumnStore& store, uint32_t column, uint32_t group, const Tile& tile) {
  ByteWriter out;
  const uint32_t rows = store.capacity(group);
  const bool hidden = column == store.time_column();
  const ColumnType type = hidden ? ColumnType::kInt64 : store.schema().columns[column].type;
  out.varint(column);
  out.varint(group);
  out.varint(tile.zone.count);
  out.u64(tile.zone.min);
  out.u64(tile.zone.max);
  out.zigzag(tile.zone.low);
  out.zigzag(tile.zone.high);
  out.u8(tile.zone.has_special ? 1 : 0);
  out.raw(tile.validity.get(), rows / 8);
  if (type != ColumnType::kString) {
    out.raw(tile.values.get(), rows * size_t{8});
    return out.take();
  }
  // The tile's own strings, then each row's place among them.
  std::unordered_map<uint32_t, uint32_t> places;
  std::vector<uint32_t> codes;
  std::vector<uint32_t> rows_places(rows);
  for (uint32_t row = 0; row < rows; ++row) {
    if (((tile.valid()[row / 64] >> (row % 64)) & 1) == 0) continue;
    const auto [place, added] = places.try_emplace(tile.codes()[row], static_cast<uint32_t>(codes.size()));
    if (added) codes.push_back(tile.codes()[row]);
    rows_places[row] = place->second;
  }
  out.varint(codes.size());
  for (const uint32_t code : codes) out.text(store.dictionary(column).text(code));
  out.raw(rows_places.data(), rows_places.size() * 4);
  return out.take();
}

}  // namespace

bool write_checkpoint(const ColumnStore& store, const std::string& note, const ByteSink& sink) {
  COVEY_AGG_ASSERT(note.size() <= kNoteMax);
  Writer writer(sink);
  ByteWriter head;
  head.u64(kMagic);
  head.varint(kFormat);
  head.varint(store.tile_rows());
  head.varint(store.tiles());
  head.varint(store.schema().columns.size());
  for (uint32_t i = 0; i < store.schema().columns.size(); ++i) {
    head.text(store.schema().columns[i].name);
    head.u8(static_cast<uint8_t>(store.schema().columns[i].type));
    head.u8(static_cast<uint8_t>(store.state(i)));
  }
  head.text(note);
  if (!writer.section(kHead, head.bytes())) return false;
  for (uint32_t group = 0; group < store.tiles(); ++group) {
    if (store.capacity(group) == 0) continue;
    ByteWriter live;
    live.varint(group);
    live.varint(store.capacity(group));
    live.varint(store.live_rows(group));
    live.raw(store.live(group), store.capacity(group) / 8);
    if (!writer.section(kRowGroup, live.bytes())) return false;
    for (uint32_t column = 0; column <= store.time_column(); ++column) {
      const Tile* tile = store.tile(column, group);
      if (tile != nullptr && !writer.section(kTile, tile_body(store, column, group, *tile))) return false;
    }
  }
  for (const auto& [slot, versions] : store.conflicted()) {
    ByteWriter out;
    out.varint(slot);
    out.varint(versions.size());
    for (const RowVersion& version : versions) {
      out.zigzag(version.time);
      for (const Value& value : version.values) write_value(out, value);
    }
    if (!writer.section(kSiblingRows, out.bytes())) return false;
  }
  ByteWriter end;
  end.varint(writer.sections());
  end.varint(store.rows());
  return writer.section(kEnd, end.bytes());
}

class CheckpointReader {
 public:
  CheckpointReader(const ByteSource& source, ColumnStore::Dictionaries dictionaries,
                   ColumnStoreOptions limits)
      : source_(source), dictionaries_(std::move(dictionaries)), limits_(limits) {}

  Result<Restored> read() {
    if (!next() || tag_ != kHead) return corrupt();
    if (Status head = read_head(); !head) return head.error();
    while (true) {
      if (!next()) return corrupt();
      Status done = corrupt();
      switch (tag_) {
        case kRowGroup:
          done = read_row_group();
          break;
        case kTile:
          done = read_tile();
          break;
        case kSiblingRows:
          done = read_siblings();
          break;
        case kEnd:
          return finish();
        default:
          break;
      }
      if (!done) return done.error();
    }
  }

 private:
  bool next() {
    uint64_t head[2];
    if (!source_(std::as_writable_bytes(std::span(head)))) return false;
    if (head[0] < kHead || head[0] > kEnd || head[1] > kSectionMax) return false;
    tag_ = head[0];
    body_.resize(head[1]);
    uint64_t tail = 0;
    if (!source_(std::as_writable_bytes(std::span(body_)))) return false;
    if (!source_(std::as_writable_bytes(std::span(&tail, 1)))) return false;
    ++sections_;
    Checksum sum;
    sum.update(head, sizeof head);
    sum.update(body_.data(), body_.size());
    return sum.value() == tail;
  }

  Status read_head() {
    ByteReader in(body_);
    if (in.u64() != kMagic) return corrupt();
    const uint64_t format = in.varint();
    if (in.ok() && format > kFormat) {
      return Error{ErrorCode::kNewerFormat,
                   "the columns' checkpoint is of a later version: upgrade, or rebuild the columns", ""};
    }
    const uint64_t tile_rows = in.varint();
    groups_ = in.varint();
    const uint64_t columns = in.varint();
    if (!in.ok() || format != kFormat || !std::has_single_bit(tile_rows) || tile_rows < kTileRowsMin ||
        tile_rows > kTileRows || columns > kColumnsMax || groups_ > kSlotsMax / tile_rows) {
      return corrupt();
    }
    Schema schema;
    std::vector<ColumnState> states;
    for (uint64_t i = 0; i < columns; ++i) {
      ColumnSpec spec;
      spec.name = std::string(in.text(4096));
      const uint8_t type = in.u8();
      const uint8_t state = in.u8();
      if (type < 1 || type > 3 || state < 1 || state > 3) return corrupt();
      spec.type = static_cast<ColumnType>(type);
      schema.columns.push_back(std::move(spec));
      states.push_back(static_cast<ColumnState>(state));
    }
    restored_note_ = std::string(in.text(kNoteMax));
    if (!in.ended()) return corrupt();
    limits_.tile_rows = static_cast<uint32_t>(tile_rows);
    store_.emplace(std::move(schema), limits_, dictionaries_);
    for (uint32_t i = 0; i < states.size(); ++i) store_->columns_[i].state = states[i];
    store_->live_.resize(groups_);
    for (ColumnStore::Column& column : store_->columns_) column.tiles.resize(groups_);
    return Done{};
  }

  Status memory(uint64_t bytes) {
    if (bytes <= limits_.bytes_max - std::min(limits_.bytes_max, store_->bytes_)) return Done{};
    return Error{ErrorCode::kOutOfMemory,
                 "the columns would pass their memory limit: raise it or drop a column", ""};
  }

  Status read_row_group() {
    ByteReader in(body_);
    const uint64_t group = in.varint();
    const uint64_t capacity = in.varint();
    const uint64_t live = in.varint();
    if (!in.ok() || group >= groups_ || capacity == 0 || capacity > limits_.tile_rows || capacity % 64 != 0 ||
        in.left() != capacity / 8 || store_->live_[group].capacity != 0) {
      return corrupt();
    }
    if (Status fits = memory(capacity / 8); !fits) return fits;
    ColumnStore::Live& at = store_->live_[group];
    at.bits = allocate_bytes(capacity / 8);
    if (!at.bits) return Error{ErrorCode::kOutOfMemory, "no memory for the columns' tiles", ""};
    in.raw(at.bits.get(), capacity / 8);
    at.capacity = static_cast<uint32_t>(capacity);
    at.version = 1;
    store_->bytes_ += capacity / 8;
    at.count = count_bits(at.bits, at.capacity);
    if (at.count != live) return corrupt();
    store_->rows_ += at.count;
    return Done{};
  }

  static uint32_t count_bits(const ByteBlock& bits, uint32_t rows) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows / 64; ++i) {
      count += static_cast<uint32_t>(std::popcount(reinterpret_cast<const uint64_t*>(bits.get())[i]));
    }
    return count;
  }

  Status read_tile() {
    ByteReader in(body_);
    const uint64_t index = in.varint();
    const uint64_t group = in.varint();
    if (!in.ok() || group >= groups_ || index >= store_->columns_.size()) return corrupt();
    ColumnStore::Column& column = store_->columns_[index];
    const uint32_t rows = store_->live_[group].capacity;
    if (rows == 0 || column.tiles[group] || column.state == ColumnState::kAbsent) return corrupt();
    auto tile = std::make_unique<Tile>();
    const uint64_t bytes = rows * value_bytes(column.type) + rows / 8;
    if (Status fits = memory(bytes); !fits) return fits;
    tile->values = allocate_bytes(rows * value_bytes(column.type));
    tile->validity = allocate_bytes(rows / 8);
    if (!tile->values || !tile->validity)
      return Error{ErrorCode::kOutOfMemory, "no memory for the columns' tiles", ""};
    tile->zone.count = static_cast<uint32_t>(in.varint());
    tile->zone.min = in.u64();
    tile->zone.max = in.u64();
    tile->zone.low = static_cast<int32_t>(in.zigzag());
    tile->zone.high = static_cast<int32_t>(in.zigzag());
    tile->zone.has_special = in.u8() != 0;
    tile->version = 1;
    in.raw(tile->validity.get(), rows / 8);
    if (!in.ok() || count_bits(tile->validity, rows) != tile->zone.count) return corrupt();
    const auto* live = reinterpret_cast<const uint64_t*>(store_->live_[group].bits.get());
    for (uint32_t word = 0; word < rows / 64; ++word) {
      if ((tile->valid()[word] & ~live[word]) != 0) return corrupt();
    }
    if (column.type != ColumnType::kString) {
      in.raw(tile->values.get(), rows * size_t{8});
      if (!in.ended() || !sound(*tile, column.type, rows)) return corrupt();
    } else if (Status strings = read_codes(in, column, *tile, rows); !strings) {
      return strings;
    }
    column.tiles[group] = std::move(tile);
    store_->bytes_ += bytes;
    return Done{};
  }

  // Scans rely on it: rows without a value are zero, and the zone map holds all that there is.
  static bool sound(const Tile& tile, ColumnType type, uint32_t rows) {
    ZoneMap found;
    for (uint32_t row = 0; row < rows; ++row) {
      const auto bits = static_cast<uint64_t>(tile.ints()[row]);
      if (((tile.valid()[row / 64] >> (row % 64)) & 1) == 0) {
        if (bits != 0) return false;
      } else if (type == ColumnType::kInt64) {
        found.add_int(tile.ints()[row]);
      } else {
        const double value = tile.floats()[row];
        if (bits == kSignBit || (value != value && bits != kNanBits)) return false;
        found.add_float(value);
      }
    }
    const ZoneMap& zone = tile.zone;
    const bool none = zone.low == kNoExponent && zone.high == kNoExponent;
    if (!none && (zone.low < kExponentMin || zone.high > kExponentMax || zone.low >= zone.high)) return false;
    if (found.has_special && !zone.has_special) return false;
    if (found.min <= found.max && (zone.min > found.min || zone.max < found.max)) return false;
    if (type == ColumnType::kInt64 || found.low == kNoExponent) return true;
    return !none && zone.low <= found.low && zone.high >= found.high;
  }

  Status read_codes(ByteReader& in, ColumnStore::Column& column, Tile& tile, uint32_t rows) {
    const uint64_t size = in.varint();
    if (size > rows || size > in.left()) return corrupt();
    std::vector<std::string_view> texts;
    for (uint64_t i = 0; i < size; ++i) texts.push_back(in.text(kStringBytesMax));
    std::vector<uint32_t> places(rows);
    in.raw(places.data(), rows * size_t{4});
    if (!in.ended()) return corrupt();
    auto* codes = reinterpret_cast<uint32_t*>(tile.values.get());
    const auto valid = [&](uint32_t row) { return ((tile.valid()[row / 64] >> (row % 64)) & 1) != 0; };
    for (uint32_t row = 0; row < rows; ++row) {
      if (valid(row) && places[row] >= size) return corrupt();
    }
    for (uint32_t row = 0; row < rows; ++row) {
      if (!valid(row)) continue;
      codes[row] = column.dictionary->acquire(texts[places[row]]);
      if (codes[row] != Dictionary::kNone) continue;
      for (uint32_t before = 0; before < row; ++before) {
        if (valid(before)) column.dictionary->release(codes[before]);
      }
      return Error{ErrorCode::kDictionaryFull, "the column has too many different strings", ""};
    }
    return Done{};
  }

  Status read_siblings() {
    ByteReader in(body_);
    const uint64_t slot = in.varint();
    const uint64_t count = in.varint();
    if (!in.ok() || count < 2 || count > in.left() || slot >= limits_.slots_max ||
        !store_->is_live(static_cast<Slot>(slot)) || store_->siblings_.count(static_cast<Slot>(slot)) != 0) {
      return corrupt();
    }
    std::vector<RowVersion> versions(count);
    ColumnStore::Needs needs;
    needs.new_strings.assign(store_->columns_.size(), 0);
    for (RowVersion& version : versions) {
      version.time = in.zigzag();
      for (uint32_t i = 0; i < store_->schema_.columns.size(); ++i) {
        version.values.push_back(read_value(in));
        if (!in.ok() || !store_->check_value(version.values.back(), i, needs)) return corrupt();
      }
    }
    if (!in.ended()) return corrupt();
    for (size_t i = 0; i < store_->schema_.columns.size(); ++i) {
      const Dictionary* dictionary = store_->columns_[i].dictionary.get();
      if (dictionary != nullptr && needs.new_strings[i] > dictionary->entries_max() - dictionary->size()) {
        return Error{ErrorCode::kDictionaryFull, "the column has too many different strings",
                     store_->schema_.columns[i].name};
      }
    }
    store_->hold_strings(versions, true);
    store_->siblings_[static_cast<Slot>(slot)] = std::move(versions);
    return Done{};
  }

  Result<Restored> finish() {
    ByteReader in(body_);
    const uint64_t sections = in.varint();
    const uint64_t rows = in.varint();
    if (!in.ended() || sections + 1 != sections_ || rows != store_->rows_) return corrupt();
    return Restored{std::move(*store_), std::move(restored_note_)};
  }

  const ByteSource& source_;
  ColumnStore::Dictionaries dictionaries_;
  ColumnStoreOptions limits_;
  std::optional<ColumnStore> store_;
  std::string restored_note_;
  uint64_t groups_ = 0;
  uint64_t tag_ = 0;
  uint64_t sections_ = 0;
  std::string body_;
};

Result<Restored> read_checkpoint(const ByteSource& source, ColumnStore::Dictionaries dictionaries,
                                 ColumnStoreOptions limits) {
  return CheckpointReader(source, std::move(dictionaries), limits).read();
}

std::string checkpoint_bytes(const ColumnStore& store, const std::string& note) {
  std::string bytes;
  write_checkpoint(store, note, [&](std::span<const std::byte> part) {
    bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
    return true;
  });
  return bytes;
}

Result<Restored> restore_checkpoint(std::string_view bytes, ColumnStore::Dictionaries dictionaries,
                                    ColumnStoreOptions limits) {
  const ByteSource source = [&](std::span<std::byte> into) {
    if (into.size() > bytes.size()) return false;
    std::memcpy(into.data(), bytes.data(), into.size());
    bytes.remove_prefix(into.size());
    return true;
  };
  Result<Restored> restored = read_checkpoint(source, std::move(dictionaries), limits);
  if (restored && !bytes.empty()) return corrupt();
  return restored;
}

}  // namespace covey::agg
