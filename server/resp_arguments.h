// The arguments of commands as COMMAND DOCS tells them, out of the lines that the table of commands has of
// them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace covey::server {

// An argument as Redis 7 describes it to clients, which make hints of it.
struct RespArgument {
  std::string name;
  std::string token;      // the word before it, or instead of it: "EX"; empty: none
  std::string_view type;  // "key", "integer", "pure-token", "oneof", "block", ...
  bool optional = false;
  bool multiple = false;
  std::vector<RespArgument> parts;  // of a oneof or a block
};

// Reads RespDocs::arguments: "key value [condition=NX|XX] [EX seconds] [field...]". Words in capitals are
// tokens, of a name in small letters or a () that follows; [] are optional, () only hold together; | parts
// what is for choice, which has a name before it, as has a group of several; "..." may come again;
// "name:double" is no string. REQUIRES: it is well formed.
std::vector<RespArgument> parse_arguments(std::string_view text);

}  // namespace covey::server
