// What the versions of an object come to: a value, a counter, a set or a hash. Conflict-free without any
// causality of their own: merging goes by dots alone, as that of values does (replication/object.h), and what
// is shown is a function of the versions that are there (Shapiro, Preguica, Baquero, Zawirski: "Conflict-free
// Replicated Data Types", SSS 2011; Bieniusa et al.: "An Optimized Conflict-free Replicated Set", 2012, for
// sets of which an addition wins).
//
// All of these take an object of live versions: drop_expired() first.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/number.h"
#include "replication/object.h"

namespace covey {

// Numbers are sent: never reused.
enum class Type : uint8_t { none = 0, value = 1, counter = 2, set = 3, hash = 4 };
std::string_view text_of(Type type);

// A key has one expiry: that of the newest version of VersionKind::expiry, of which a register with an expiry
// of its own is independent. It concerns what was written before its time has come; what others wrote later,
// not having heard of it, stays. Wall clock; 0: never.
uint64_t key_expiry(const Object& object);
inline bool expired(uint64_t expires_ms, uint64_t wall_ms) {
  return expires_ms != 0 && expires_ms <= wall_ms;
}
// When a version expires whose key's expiry is `of_key`. 0: never.
uint64_t expiry_under(uint64_t of_key, const Version& version);
// Takes out what has expired. Dots stay in the context.
std::vector<Version> take_expired(Object& object, uint64_t wall_ms);

// That of the newest version. Registers and counters go together: a register that is a number and what was
// added to it are a counter, unless the newest register is no number and is the newest of all.
Type type_of(const Object& live);

// Takes out what readers of one value are not shown: versions of other types, and registers but the newest
// one (of a hash: of each field).
std::vector<Version> take_hidden(Object& live);

// 0 where there is none.
Number counter_value(const Object& live);
// Elements of the set, ascending by bytes.
std::vector<std::string_view> members(const Object& live);
// Fields of the hash, ascending by the bytes of their names.
std::map<std::string_view, std::string> fields(const Object& live);
std::optional<std::string> field(const Object& live, std::string_view name);

// How many versions stand side by side where a reader expects one: registers of a value; of a type, those of
// other types and one for all of its own.
uint32_t siblings_of(const Object& live);

}  // namespace covey
