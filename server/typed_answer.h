// What a counter, a set or a hash is to a client that reads JSON.
#pragma once

#include <string>

#include "replication/object.h"
#include "replication/typed.h"

namespace covey::server {

// A counter as a number, a set as a list in the order of bytes, a hash as an object of its fields in that
// order; where a field's name is no text as a list of pairs. What is no text stands as {"base64": "..."}. A
// field whose text is a JSON number stands as that. REQUIRES: type is counter, set or hash.
void append_typed(std::string& out, const Object& live, Type type);

// The versions apart that a reader of one value would be shown: registers that are not a counter's part.
std::vector<const Version*> registers_of(const Object& live, Type type);

// The types, counter first, of which the object has versions.
std::vector<Type> types_in(const Object& live);

// The newest version that belongs to the type. REQUIRES: there is one.
const Version& newest_of(const Object& live, Type type);

}  // namespace covey::server
