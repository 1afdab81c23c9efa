// What anybody may send as a batch: lines of JSON, or of what looks like it.
#include "replication/plan.h"
#include "replication/result.h"
#include "server/batch_line.h"
#include "server/change_body.h"
#include "server/json_text.h"
#include "server/table_definition.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace covey;
  std::string_view body = fuzz::view(data, size);
  if (auto changes = server::parse_change(body, size % 2)) COVEY_ASSERT(sound(*changes));
  auto lines = server::split_lines(body);
  bool readable = !server::check_lines(lines);
  if (!readable && lines.size() == 1) {
    server::BatchLine line;
    static_cast<void>(server::parse_line(lines[0].text, 1 << 20, line));  // must not rely on the check
  }
  if (!readable) return 0;
  static const auto table = *server::parse_table_definition(std::string_view(
      R"({"columns": [{"name": "a", "path": "/a", "type": "int64"}, {"name": "b", "path": "/b/0", "type": "float64"}]})"));
  for (const auto& text : lines) {
    server::BatchLine line;
    if (server::parse_line(text.text, 1 << 20, line)) continue;
    COVEY_ASSERT(sound(line.changes) == (line.operation == Operation::change));
    if (line.operation != Operation::put || line.content_type != "application/json") continue;
    // What is stored as JSON is JSON by itself, and stays what it is on one line. (Base64 may be anything.)
    std::string once = server::minified_json(line.value);
    if (text.text.find("base64") == std::string_view::npos) COVEY_ASSERT(!once.empty());
    COVEY_ASSERT(once == server::minified_json(once));
    server::check_columns(table, line.value);
  }
  return 0;
}
