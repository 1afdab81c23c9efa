// Reading, writing and deleting one key over HTTP.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/call_options.h"
#include "server/http_connection.h"

namespace covey::server {

void start_key_call(std::shared_ptr<HttpConnection> connection, uint64_t slot, HttpRequest& request,
                    TableKey key, const CallOptions& options);

// Once more, for a read whose answer was dropped.
void ask_again(std::shared_ptr<HttpConnection> connection, uint64_t slot, const KeyCall& call);

// Writes the answer of the core as the answer to the slot.
void reply_to_key_call(HttpConnection& connection, uint64_t slot, const KeyCall& call,
                       const Response& response);

// A version's value within JSON: as it is where its type says JSON and it is, as a string where it is text,
// else in base64. Appends `"value":...` or `"value_base64"`-like members as `names` says.
struct ValueNames {
  bool separate_base64 = false;  // false: "value" and "base64": true; true: "value" or "value_base64"
};
void append_value(std::string& out, const Version& version, ValueNames names);

// An object's versions as members of a line of results: one as value, content_type and dot; several as
// "siblings".
// Members of an answer to a change, each beginning with a comma.
void append_changed(std::string& out, const Changed& changed);

// 300: several registers stand where a reader expects one value.
int status_of_read(const Object& live);

void append_versions(std::string& out, ShardLoop& shard, const Object& object);

bool is_json_type(std::string_view content_type);

}  // namespace covey::server
