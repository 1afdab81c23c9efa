// A change to a counter, a set or a hash as JSON tells it: the body of POST /v1/kv/{table}/{key}, and members
// of a batch's line.
#pragma once

#include <simdjson.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/change.h"
#include "replication/result.h"
#include "server/errors.h"

namespace covey::server {

bool is_change(std::string_view op);
// "incr, sadd, ...", for messages.
std::string_view change_names();

// The members that tell a change, beside "op" and "ttl_ms".
class ChangeMembers {
 public:
  static bool knows(std::string_view name);
  bool empty() const { return members_.empty(); }
  // REQUIRES: knows(name); the element outlives this.
  void take(std::string_view name, simdjson::dom::element value) { members_.emplace(name, value); }
  struct Source {
    std::string_view text;  // of the object: in it numbers are as they were written
    uint64_t ttl_ms = 0;    // 0: none was given
    bool stood_in = false;  // what parse_json said
  };
  // REQUIRES: is_change(op)
  Result<std::vector<Change>, ErrorAnswer> changes(std::string_view op, const Source& source) const;

 private:
  std::map<std::string, simdjson::dom::element, std::less<>> members_;
};

// The whole body of a POST to a key.
Result<std::vector<Change>, ErrorAnswer> parse_change(std::string_view body, uint64_t ttl_ms);

}  // namespace covey::server
