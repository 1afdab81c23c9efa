#include "client/cli/csv.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "rapidcheck.h"

namespace covey::cli::csv_test {
namespace {

using Rows = std::vector<std::vector<std::string>>;

Rows rows_of(const std::string& text) {
  std::istringstream in(text);
  Rows rows;
  for (;;) {
    auto record = read_csv_record(in);
    REQUIRE(record);
    if (!*record) return rows;
    rows.push_back((*record)->fields);
  }
}

struct Read {
  std::vector<ImportRecord> records;
  std::vector<ImportProblem> problems;
};

Read read_all(const std::string& text, ImportFormat format,
              std::optional<std::string> key_field = std::nullopt) {
  std::istringstream in(text);
  RecordReader reader(in, format, std::move(key_field));
  Read out;
  for (;;) {
    auto next = reader.next();
    if (!next) {
      out.problems.push_back(next.error());
      if (next.error().fatal) return out;
      continue;
    }
    if (!*next) return out;
    out.records.push_back(**next);
  }
}

}  // namespace

TEST_CASE("CSV fields are split as RFC 4180 says", "[client]") {
  CHECK(rows_of("") == Rows{});
  CHECK(rows_of("a,b\r\n1,2\r\n") == Rows{{"a", "b"}, {"1", "2"}});
  CHECK(rows_of("a,b\n1,2") == Rows{{"a", "b"}, {"1", "2"}});
  CHECK(rows_of("\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\n") == Rows{{"a,b", "say \"hi\"", "two\nlines"}});
  CHECK(rows_of(",\n\"\",\n") == Rows{{"", ""}, {"", ""}});
  CHECK(rows_of("a\rb\r") == Rows{{"a"}, {"b"}});
}

TEST_CASE("any fields survive being written and read as CSV", "[client]") {
  CHECK(rc::check([](const std::vector<std::vector<std::string>>& given) {
    std::string text;
    Rows rows;
    for (const auto& row : given) {
      if (row.empty()) continue;
      rows.push_back(row);
      for (size_t i = 0; i < row.size(); ++i) {
        text += i == 0 ? "\"" : ",\"";
        for (const char c : row[i]) text += c == '"' ? std::string("\"\"") : std::string(1, c);
        text += '"';
      }
      text += "\r\n";
    }
    RC_ASSERT(rows_of(text) == rows);
  }));
}

TEST_CASE("broken CSV is told, not guessed", "[client]") {
  std::istringstream open("a,\"b\nc");
  CHECK_FALSE(read_csv_record(open));
  std::istringstream tail("\"a\"b,c\nd\n");
  CHECK_FALSE(read_csv_record(tail));
  auto next = read_csv_record(tail);
  REQUIRE(next);
  CHECK((*next)->fields == std::vector<std::string>{"d"});
}

TEST_CASE("CSV fields become numbers only where nothing is lost", "[client]") {
  const std::pair<const char*, const char*> numbers[] = {{"0", "0"},
                                                         {"-3", "-3"},
                                                         {"20.5", "20.5"},
                                                         {"1e3", "1000.0"},
                                                         {"9223372036854775807", "9223372036854775807"}};
  for (const auto& [field, json] : numbers) CHECK(csv_value(field, false)->dump() == json);
  for (const char* text :
       {"007", "+1", ".5", "1.", "0x10", "1 ", "NaN", "12345678901234567890123", "true", "-"}) {
    INFO(text);
    CHECK(csv_value(text, false) == client::Json(text));
  }
  CHECK(csv_value("5", true) == client::Json("5"));
  CHECK(csv_value("", true) == client::Json(""));
  CHECK_FALSE(csv_value("", false));
}

TEST_CASE("CSV rows become objects under the key column's text", "[client]") {
  const Read read = read_all("\xEF\xBB\xBFid,temp,note\n007,20.5,\"a\nb\"\n\n8,-3,\n9,1\n10,1,x\n",
                             ImportFormat::csv, "id");
  REQUIRE(read.records.size() == 3);
  CHECK(read.records[0].key == "007");
  CHECK(read.records[0].line == 2);
  CHECK(read.records[0].versions.at(0).value == R"({"id":"007","temp":20.5,"note":"a\nb"})");
  CHECK(read.records[1].line == 5);
  CHECK(read.records[1].versions.at(0).value == R"({"id":8,"temp":-3})");
  CHECK(read.records[2].line == 7);
  REQUIRE(read.problems.size() == 1);
  CHECK(read.problems[0].line == 6);
  CHECK_FALSE(read.problems[0].fatal);
}

TEST_CASE("a CSV file without its key column is refused as a whole", "[client]") {
  const Read read = read_all("a,b\n1,2\n", ImportFormat::csv);
  CHECK(read.records.empty());
  REQUIRE(read.problems.size() == 1);
  CHECK(read.problems[0].fatal);
  CHECK(read_all("key,b\n1,2\n", ImportFormat::csv).records.at(0).key == "1");
  CHECK(read_all("", ImportFormat::csv).problems.empty());
}

TEST_CASE("JSON lines of an export come back as they were, siblings included", "[client]") {
  const Read read = read_all(
      R"({"key": "a", "value": {"n": 1}})"
      "\n"
      "\n"
      R"({"key_base64": "/w==", "value_base64": "AA==", "content_type": "x/y"})"
      "\r\n"
      R"({"key": "s", "siblings": [{"value": 1}, {"value_base64": "dHdv", "content_type": "text/plain"}]})"
      "\n"
      "[1]\n"
      R"({"key": "no value"})"
      "\n",
      ImportFormat::jsonl);
  REQUIRE(read.records.size() == 3);
  CHECK(read.records[0].versions.at(0).value == R"({"n": 1})");
  CHECK(read.records[1].key == "\xff");
  CHECK(read.records[1].line == 3);
  CHECK(read.records[1].versions.at(0).value == std::string(1, '\0'));
  CHECK(read.records[2].versions.size() == 2);
  REQUIRE(read.problems.size() == 2);
  CHECK(read.problems[0].line == 5);
  CHECK(read.problems[1].line == 6);
}

TEST_CASE("with a key field any JSON object is a value, as it is spelled", "[client]") {
  const Read read = read_all("  {\"id\": 7, \"x\": 1.00}  \n{\"id\": \"a\"}\n{\"id\": null}\n{}\n",
                             ImportFormat::jsonl, "id");
  REQUIRE(read.records.size() == 2);
  CHECK(read.records[0].key == "7");
  CHECK(read.records[0].versions.at(0).value == R"({"id": 7, "x": 1.00})");
  CHECK(read.records[1].key == "a");
  CHECK(read.problems.size() == 2);
}

}  // namespace covey::cli::csv_test
