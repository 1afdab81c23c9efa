// What a key holds: the versions that nobody has overwritten, and a context. The algebra is that of dotted
// version vector sets under a node-wide clock (Almeida, Baquero, Goncalves, Preguica, Fonte: "Scalable and
// Accurate Causality Tracking for Eventually Consistent Stores", DAIS 2014; and SRDS 2017 for fill and
// strip).
//
// An object is *filled* while it is worked on and sent, and *stripped* while it is stored:
//   stored = strip(filled, clock), filled = fill(stored, clock).
// The dot of every version of a filled object is in its context.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "replication/dot_set.h"
#include "replication/types.h"

namespace covey {

// What a version is of the key's value (replication/typed.h). Stored and sent: numbers are never reused.
enum class VersionKind : uint8_t {
  value = 0,          // a register: bytes that were written as a whole
  counter = 1,        // what one actor has added to the counter: the sum so far
  member = 2,         // an element of the set: its name
  field = 3,          // a field of the hash: its name, and a register
  field_counter = 4,  // what one actor has added to the field of this name
  token = 5,          // one increment; its name is the token that it is known by
  expiry = 6,         // when the key expires: of a counter, a set, a hash
  count
};

struct Version {
  Dot dot;
  Hlc time;                  // when the coordinator accepted it
  uint64_t expires_ms = 0;   // wall clock; 0: never
  std::string content_type;  // of a register; empty: application/octet-stream
  std::string value;         // counters: the number as text
  VersionKind kind = VersionKind::value;
  std::string name;  // of members, fields and tokens
  bool operator==(const Version&) const = default;
};

struct Object {
  std::vector<Version> versions;  // ascending by dot
  Context context;
  bool operator==(const Object&) const = default;
};

// An object as it stands in its encoding (codec.h), whose bytes it refers to.
struct VersionView {
  Dot dot;
  Hlc time;
  uint64_t expires_ms = 0;
  std::string_view content_type;
  std::string_view value;
  VersionKind kind = VersionKind::value;
  std::string_view name;
};
struct ObjectView {
  std::vector<VersionView> versions;
  Context context;
  bool operator==(const Object& object) const;
};
Object to_object(const ObjectView& view);

// What a table does with concurrent versions. Both keep them all in the store, so that what a replica holds
// depends on the dots that it has seen and not on their order: dropping the older one when replicas merge
// would let a delete of the newer decide, by its time of arrival, whether the older is still there.
enum class Conflicts : uint8_t {
  siblings = 0,  // shows them all
  last_write_wins =
      1,  // shows the one with the highest (time, dot); a write covers all that its coordinator sees
};

Object fill(Object stored, const Clock& clock);
Object strip(Object filled, const Clock& clock);

// The object without the versions whose dots the context covers; the context is joined.
void discard(Object& filled, const Context& context);

// A version stays if both have it, or if the other's context does not cover its dot. Commutative, associative
// and idempotent. REQUIRES: both filled.
Object merge(const Object& a, const Object& b);

// Nothing of the stored object would be left by merging it, filled with the clock, with theirs, and all of
// theirs would be. Their context, joined with the stored one and stripped, is that of the merged one then.
bool replaces(const Object& theirs, const ObjectView& stored, const Clock& clock);

// For an answer: under last_write_wins drops all registers but the newest, of the key or of a field, and what
// is not of the key's type; their dots stay in the context.
void resolve(Object& filled, Conflicts conflicts);

bool older(const Version& a, const Version& b);  // by (time, dot)

// The version a reader of one value is given: highest (time, dot). nullptr: none.
const Version* newest(const Object& object);

// Nothing but registers: no counter, set or hash.
bool plain(const Object& object);

DotSet dots_of(const Object& object);        // of its versions
uint64_t value_bytes(const Object& object);  // of all versions, with their names
// Of key and values; 0: nothing is stored.
uint64_t content_bytes(const TableKey& key, const Object& object);
uint64_t content_bytes(std::string_view table, std::string_view key, const ObjectView& object);
bool same_versions(const Object& a, const Object& b);  // by dots
bool same_versions(const ObjectView& a, const Object& b);

// Adds up, over a partition's objects, to its state hash: depends on key and versions, not on the context,
// and is zero for an object without versions.
uint64_t object_hash(const TableKey& key, const Object& object);
uint64_t object_hash(std::string_view table, std::string_view key, const ObjectView& object);

}  // namespace covey
