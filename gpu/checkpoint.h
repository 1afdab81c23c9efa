// A store as bytes, to be kept beside the sequence number that it holds, so that a restart replays only what
// is newer. The format is versioned and self-contained (strings are written out) and every part has a
// checksum; docs/formats.md describes it. Bytes that are damaged, cut short or of a later version are
// refused, never read in part.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "gpu/column_store.h"

namespace covey::agg {

// Takes the next bytes of a checkpoint; false stops the writing.
using ByteSink = std::function<bool(std::span<const std::byte>)>;
// Fills `into` with the next bytes; false: there are not so many, or they can't be read.
using ByteSource = std::function<bool(std::span<std::byte> into)>;

// One pass, tile by tile: needs memory for one tile. False: the sink stopped it. `note` comes back on
// reading: the caller's own words, such as the sequence number (at most 4,096 bytes).
bool write_checkpoint(const ColumnStore& store, const std::string& note, const ByteSink& sink);

struct Restored {
  ColumnStore store;
  std::string note;
};
// `dictionaries` as in ColumnStore. kCorrupt, kNewerFormat, kOutOfMemory, kDictionaryFull.
Result<Restored> read_checkpoint(const ByteSource& source, ColumnStore::Dictionaries dictionaries = {},
                                 ColumnStoreOptions limits = {});

// For small stores and tests.
std::string checkpoint_bytes(const ColumnStore& store, const std::string& note);
Result<Restored> restore_checkpoint(std::string_view bytes, ColumnStore::Dictionaries dictionaries = {},
                                    ColumnStoreOptions limits = {});

}  // namespace covey::agg
