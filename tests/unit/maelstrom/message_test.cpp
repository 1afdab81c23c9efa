#include "tests/maelstrom/message.h"

#include <catch2/catch.hpp>

#include "tests/maelstrom/line_reader.h"

namespace covey::maelstrom::message_test {

TEST_CASE("a message of Maelstrom is read as it stands", "[maelstrom]") {
  const Parsed parsed = parse_message(
      R"({"id": 4, "src": "c1", "dest": "n1", "body": {"type": "echo", "msg_id": 3, "echo": [1.5]}})");
  REQUIRE(parsed.message);
  CHECK(parsed.error.empty());
  CHECK(parsed.message->src == "c1");
  CHECK(parsed.message->dest == "n1");
  CHECK(parsed.message->type == "echo");
  CHECK(parsed.message->msg_id == 3);
  CHECK(parsed.message->body["echo"] == Json::parse("[1.5]"));
}

TEST_CASE("of a line that is no message it is known whom to answer, or why nobody", "[maelstrom]") {
  for (const char* line :
       {"", "x", "{", "7", "[]", "{}", R"({"src": "c1"})", R"({"src": "c1", "dest": 1, "body": {}})",
        "{\"src\": \"\xff\", \"dest\": \"n1\", \"body\": {}}"}) {
    INFO(line);
    const Parsed parsed = parse_message(line);
    CHECK_FALSE(parsed.message);
    CHECK_FALSE(parsed.error.empty());
  }
  for (const char* body : {R"("body": {})", R"("body": 7)", R"("body": {"type": 7, "msg_id": 1})",
                           R"("body": {"type": "echo", "msg_id": -1})",
                           R"("body": {"type": "echo", "msg_id": "a"})", R"("other": 1)"}) {
    INFO(body);
    const Parsed parsed = parse_message(std::string(R"({"src": "c1", "dest": "n1", )") + body + "}");
    REQUIRE(parsed.message);
    CHECK(parsed.message->src == "c1");
    CHECK_FALSE(parsed.error.empty());
  }
}

TEST_CASE("a line that is nested without end is refused", "[maelstrom]") {
  const std::string head = R"({"src": "c1", "dest": "n1", "body": {"type": "echo", "msg_id": 1, "echo": )";
  auto nested = [&](size_t depth) { return head + std::string(depth, '[') + std::string(depth, ']') + "}}"; };
  CHECK(parse_message(nested(json_depth_max - 3)).message);
  CHECK_FALSE(parse_message(nested(json_depth_max)).message);
  CHECK_FALSE(parse_message(std::string(1'000'000, '[')).message);
}

TEST_CASE("what is written is one line, and reads back", "[maelstrom]") {
  const std::string line = message_line("n1", "c1", {{"type", "echo_ok"}, {"echo", "a\nb\"\\"}});
  CHECK(line.find('\n') == std::string::npos);
  const Parsed parsed = parse_message(line);
  REQUIRE(parsed.message);
  CHECK(parsed.message->body["echo"] == "a\nb\"\\");
  CHECK(error_body(ErrorCode::key_does_not_exist, "none")["code"] == 20);
}

TEST_CASE("lines are found whatever pieces they come in, and those too long are skipped", "[maelstrom]") {
  const std::string bytes = "one\n\nfour\ntoo long\nabcde\nlast";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    LineReader reader(5);
    std::vector<std::string> found;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      for (const auto& line : reader.feed(std::string_view(bytes).substr(at, piece)))
        found.push_back(line.too_long ? "(too long)" : line.text);
    }
    CHECK(found == std::vector<std::string>{"one", "", "four", "(too long)", "abcde"});
  }
}

}  // namespace covey::maelstrom::message_test
