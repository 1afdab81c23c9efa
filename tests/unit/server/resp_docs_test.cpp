#include "server/resp_docs.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>

#include "server/resp_arguments.h"

namespace covey::resp_docs_test {

using namespace covey::server;

namespace {

// The least number of words that arguments take, and whether more may come.
struct Words {
  int least = 0;
  bool more = false;
};

Words words_of(const std::vector<RespArgument>& arguments);

Words words_of(const RespArgument& one) {
  Words own{1, false};
  if (one.type == "block") own = words_of(one.parts);
  if (one.type == "oneof") {
    own = words_of(one.parts.front());
    for (const RespArgument& part : one.parts) {
      const Words other = words_of(part);
      own = {std::min(own.least, other.least), own.more || other.more || own.least != other.least};
    }
  }
  if (one.type != "pure-token" && !one.token.empty()) ++own.least;
  return {one.optional ? 0 : own.least, own.more || one.optional || one.multiple};
}

Words words_of(const std::vector<RespArgument>& arguments) {
  Words all;
  for (const RespArgument& one : arguments) {
    const Words own = words_of(one);
    all = {all.least + own.least, all.more || own.more};
  }
  return all;
}

bool has_key(const std::vector<RespArgument>& arguments) {
  for (const RespArgument& one : arguments) {
    if (one.type == "key" || has_key(one.parts)) return true;
  }
  return false;
}

void check_docs(const RespCommand& command) {
  INFO(command.name);
  CHECK_FALSE(command.docs.summary.empty());
  CHECK_FALSE(command.docs.since.empty());
  CHECK_FALSE(command.docs.complexity.empty());
  const auto arguments = parse_arguments(command.docs.arguments);
  CHECK(has_key(arguments) == (command.first_key != 0));
  CHECK((command.run != nullptr || command.subcommands != nullptr));
  if (command.subcommands != nullptr || command.name == "quit") return;
  const Words words = words_of(arguments);
  const int names = command.name.find('|') == std::string_view::npos ? 1 : 2;
  CHECK(words.more == (command.arity < 0));
  CHECK(words.least + names == std::abs(command.arity));
}

}  // namespace

TEST_CASE("what COMMAND DOCS tells of a command's arguments is what the command takes", "[resp]") {
  std::set<std::string_view> names;
  for (const RespCommand& command : resp_commands()) {
    check_docs(command);
    CHECK(names.insert(command.name).second);
    for (const RespCommand& one : command.subcommands_or_none()) {
      check_docs(one);
      CHECK(one.name.starts_with(std::string(command.name) + "|"));
      CHECK(group_of(one) == group_of(command));
    }
  }
}

TEST_CASE("arguments are read as they are written", "[resp]") {
  const auto all = parse_arguments(
      "key (pair=field value:double)... [GET] [when=EX seconds|(a b)|PXAT unix-time-ms] [COUNT count]");
  REQUIRE(all.size() == 5);
  CHECK(all[0].type == "key");
  CHECK((all[1].name == "pair" && all[1].type == "block" && all[1].multiple && !all[1].optional));
  CHECK((all[1].parts[0].type == "string" && all[1].parts[1].type == "double"));
  CHECK((all[2].name == "get" && all[2].type == "pure-token" && all[2].token == "GET" && all[2].optional));
  CHECK((all[3].name == "when" && all[3].type == "oneof" && all[3].parts.size() == 3));
  CHECK((all[3].parts[0].name == "seconds" && all[3].parts[0].token == "EX" &&
         all[3].parts[0].type == "integer"));
  CHECK(all[3].parts[1].type == "block");
  CHECK(all[3].parts[2].type == "unix-time");
  CHECK((all[4].token == "COUNT" && all[4].type == "integer" && all[4].optional));
  CHECK(parse_arguments("").empty());
  CHECK(parse_arguments("[AUTH (who=username password)]")[0].token == "AUTH");
}

TEST_CASE("commands and subcommands are found by name and by words", "[resp]") {
  const auto found = [](std::vector<std::string> words) { return find_resp_command(words)->name; };
  CHECK(found({"CLIENT", "Id"}) == "client|id");
  CHECK(found({"client", "nosuch"}) == "client");
  CHECK(found({"client"}) == "client");
  CHECK(found({"get", "id"}) == "get");
  CHECK(find_resp_command(std::string_view("CLIENT|ID"))->name == "client|id");
  CHECK(find_resp_command(std::string_view("client|nosuch")) == nullptr);
  CHECK(find_resp_command(std::string_view("get|id")) == nullptr);
  CHECK(find_resp_command(std::vector<std::string>{"client|id"}) == nullptr);
}

}  // namespace covey::resp_docs_test
