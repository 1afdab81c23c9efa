#include "gpu/cuda_tiles.h"

#include <algorithm>

namespace covey::agg::cuda {

Result<TileCache::Got> TileCache::tile(const ColumnStore& store, uint32_t column, uint32_t tile,
                                       uint64_t& uploaded) {
  const Tile& from = *store.tile(column, tile);
  const uint32_t capacity = store.capacity(tile);
  const ColumnType type =
      column < store.schema().columns.size() ? store.schema().columns[column].type : ColumnType::kInt64;
  return get(store.id(), column, tile,
             {.values = from.values.get(),
              .values_bytes = capacity * value_bytes(type),
              .bits = from.valid(),
              .bits_bytes = capacity / 8,
              .version = from.version,
              .capacity = capacity},
             uploaded);
}

Result<TileCache::Got> TileCache::live(const ColumnStore& store, uint32_t tile, uint64_t& uploaded) {
  const uint32_t capacity = store.capacity(tile);
  return get(store.id(), kLive, tile,
             {.bits = store.live(tile),
              .bits_bytes = capacity / 8,
              .version = store.live_version(tile),
              .capacity = capacity},
             uploaded);
}

Result<TileCache::Got> TileCache::get(uint64_t store_id, uint32_t column, uint32_t tile, const Source& source,
                                      uint64_t& uploaded) {
  auto& columns = stores_[store_id];
  if (columns.empty()) columns.resize(kLive + 1);
  if (columns[column].size() <= tile) columns[column].resize(tile + size_t{1});
  Entry& entry = columns[column][tile];
  // No launch reads the old copy any more: stores change between scans alone.
  if (entry.at != nullptr && entry.capacity != source.capacity) drop(entry);
  const bool fresh = entry.at != nullptr && entry.version == source.version;
  if (entry.at == nullptr) {
    std::byte* const at = take(room_of(source));
    if (at == nullptr) return Got{};
    entry = {.at = at, .bytes = Arena::rounded(room_of(source)), .capacity = source.capacity};
    bytes_ += entry.bytes;
  }
  if (!fresh) {
    entry.version = UINT64_MAX;  // until all of it is there
    if (source.values_bytes > 0) {
      if (Status sent = memory_.upload(entry.at, source.values, source.values_bytes); !sent)
        return sent.error();
    }
    if (Status sent = memory_.upload(entry.at + bits_offset(source), source.bits, source.bits_bytes); !sent)
      return sent.error();
    entry.version = source.version;
    uploaded += source.values_bytes + source.bits_bytes;
  }
  if (entry.used != now_) ++entry.uses;
  entry.used = now_;
  return Got{entry.at, entry.at + bits_offset(source)};
}

uint64_t TileCache::resident(const ColumnStore& store, uint32_t column) const {
  const auto found = stores_.find(store.id());
  if (found == stores_.end()) return 0;
  const std::vector<Entry>& tiles = found->second[column];
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < std::min<size_t>(tiles.size(), store.tiles()); ++i) {
    const Entry& entry = tiles[i];
    if (entry.at == nullptr || entry.capacity != store.capacity(i)) continue;
    if (column == kLive) {
      if (entry.version == store.live_version(i)) bytes += entry.capacity / 8;
      continue;
    }
    const Tile* tile = store.tile(column, i);
    if (tile == nullptr || tile->version != entry.version) continue;
    const ColumnType type =
        column < store.schema().columns.size() ? store.schema().columns[column].type : ColumnType::kInt64;
    bytes += entry.capacity * value_bytes(type) + entry.capacity / 8;
  }
  return bytes;
}

std::byte* TileCache::take(uint64_t bytes) {
  std::byte* at = memory_.take(bytes);
  while (at == nullptr && evict(std::max(bytes, memory_.total() / 16)) > 0) at = memory_.take(bytes);
  return at;
}

void TileCache::drop(Entry& entry) {
  bytes_ -= entry.bytes;
  memory_.give(entry.at);
  entry = {};
}

uint64_t TileCache::evict(uint64_t bytes) {
  std::vector<Entry*> entries;
  for (auto& [id, columns] : stores_) {
    for (auto& tiles : columns) {
      for (Entry& entry : tiles) {
        if (entry.at != nullptr && entry.used != now_) entries.push_back(&entry);
      }
    }
  }
  std::sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) {
    if (a->used != b->used) return a->used < b->used;
    return a->uses != b->uses ? a->uses < b->uses : a->at < b->at;
  });
  uint64_t freed = 0;
  for (Entry* entry : entries) {
    if (freed >= bytes) break;
    freed += entry->bytes;
    drop(*entry);
  }
  return freed;
}

void TileCache::forget(uint64_t store_id) {
  const auto found = stores_.find(store_id);
  if (found == stores_.end()) return;
  for (auto& tiles : found->second) {
    for (Entry& entry : tiles) {
      if (entry.at != nullptr) drop(entry);
    }
  }
  stores_.erase(found);
}

}  // namespace covey::agg::cuda
