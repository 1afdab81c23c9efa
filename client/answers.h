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
Result<Changed, Error> changed_from(const HttpResponse& response);
Result<Health, Error> health_from(const HttpResponse& response);

// One line of a batch body without its line feed. Keys that are not UTF-8, and values that are not JSON on
// one line, travel as base64.
std::string batch_line(const BatchOperation& operation);
Result<std::vector<BatchOutcome>, Error> outcomes_from(const HttpResponse& response,
                                                       const std::vector<BatchOperation>& operations);
Result<ScanPage, Error> scan_page_from(const HttpResponse& response);

// Members of a JSON object, as text without the braces, for lines that import, batch and export share:
// "key":... or, when the key is not UTF-8, "key_base64":...
std::string key_member(std::string_view key);
// "value":JSON as it is spelled, on one line, or "value_base64":...; and "content_type":... unless it is
// application/json.
std::string value_members(std::string_view value, std::string_view content_type);

// The key of an object with "key" or "key_base64". Throws Json::exception, as nlohmann's access does, without
// one.
std::string key_from(const Json& object);
// The version that an object of the API describes, or all of them where it has "siblings"; none for a key
// alone. `text` is the object's text. Throws likewise when it makes no sense.
Version version_from(const Json& object, std::string_view text);
std::vector<Version> versions_from(const Json& object, std::string_view text);

}  // namespace covey::client
