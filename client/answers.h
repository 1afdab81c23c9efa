// Between the library's types and the bytes of the HTTP interface. Pure; client.cpp moves the bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "client/client.h"
#include "client/http.h"

namespace covey::client {

// The error that an answer other than success tells, whether or not its body is the API's error object.
Error error_from(const HttpResponse& response);

Error bad_answer(std::string message);

Result<Json, Error> json_from(const HttpResponse& response);
Result<Reading, Error> reading_from(const HttpResponse& response);  // 200, 300, 404; plain or vnd.covey+json
Result<Written, Error> written_from(const HttpResponse& response);
Result<Health, Error> health_from(const HttpResponse& response);

// One line of a batch body without its line feed. Keys that are not UTF-8, and values that are not JSON on
// one line, travel as base64.
std::string batch_line(const BatchOperation& operation);
Result<std::vector<BatchOutcome>, Error> outcomes_from(const HttpResponse& response,
                                                       const std::vector<BatchOperation>& operations);
Result<ScanPage, Error> scan_page_from(const HttpResponse& response);

// {"value": JSON} or {"value_base64": ..., "content_type": ...}, with "dot" and "time" when known: the fields
// of a scan's line and of an export's.
Json version_json(const Version& version);
// {"key": ...}, or {"key_base64": ...} when the key is not UTF-8.
Json key_json(std::string_view key);
// The version that an object of the API describes, in any of its spellings. Throws Json::exception, as
// nlohmann's access does, when it describes none.
Version version_from(const Json& object);
// The key of an object with "key" or "key_base64". Throws likewise.
std::string key_from(const Json& object);

}  // namespace covey::client
