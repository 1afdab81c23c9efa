// Counters, sets and hashes as JSON and as rows of columns.
#include <catch2/catch.hpp>

#include "replication/plan.h"
#include "replication/typed.h"
#include "server/change_body.h"
#include "server/column_table.h"
#include "server/typed_answer.h"
#include "tests/unit/replication/typed_replicas.h"

namespace covey::typed_front_test {

namespace {

using namespace covey;
using namespace covey::server;
using covey::testing::TypedReplicas;

std::vector<Change> parsed(const std::string& body, uint64_t ttl_ms = 0) {
  auto changes = parse_change(body, ttl_ms);
  INFO(body << (changes ? "" : changes.error().message));
  REQUIRE(changes);
  CHECK(sound(*changes));
  return *changes;
}

std::string shown(const TypedReplicas& on) {
  std::string out;
  append_typed(out, on.live(0), type_of(on.live(0)));
  return out;
}

TEST_CASE("a change's body says what to change", "[front_end]") {
  auto one = parsed(R"({"op": "incr"})");
  CHECK((one.size() == 1 && one[0].kind == ChangeKind::increment && one[0].value == "1" &&
         one[0].name.empty()));
  one = parsed(R"({"token": "t", "by": -5, "op": "incr"})");
  CHECK((one[0].value == "-5" && one[0].name == "t"));
  CHECK(parsed(R"({"op": "incr", "by": 0.1})")[0].kind == ChangeKind::increment_float);
  CHECK(parsed(R"({"op": "incr", "by": 0.1})")[0].value == "0.1");
  auto members = parsed(R"({"op": "sadd", "members": ["a", {"base64": "/w=="}, ""]})");
  CHECK((members.size() == 3 && members[1].name == "\xff" && members[2].name.empty()));
  CHECK(parsed(R"({"op": "srem", "members": ["a"]})")[0].kind == ChangeKind::remove);
  auto fields =
      parsed(R"({"op": "hset", "fields": {"a": "x", "b": 5, "c": 0.1, "d": 18446744073709551615}})");
  REQUIRE(fields.size() == 4);
  CHECK((fields[0].name == "a" && fields[0].value == "x" && fields[1].value == "5" &&
         fields[2].value == "0.1"));
  CHECK(fields[3].value == "18446744073709551615");
  CHECK(parsed(R"({"op": "hset", "fields": [[{"base64": "/w=="}, 1]]})")[0].name == "\xff");
  CHECK(parsed(R"({"op": "hdel", "fields": ["a"]})")[0].kind == ChangeKind::remove_field);
  CHECK(parsed(R"({"op": "hincr", "field": "f", "by": 2.5})")[0].kind == ChangeKind::increment_field_float);
  CHECK(parsed(R"({"op": "expire"})", 5)[0].kind == ChangeKind::expire);
  CHECK(parsed(R"({"op": "persist"})")[0].kind == ChangeKind::expire);
}

TEST_CASE("a body that is no change is refused with what to do", "[front_end]") {
  const std::string long_name(element_bytes_max + 1, 'x');
  CHECK(parse_change(R"({"op":"sadd","members":[")" + long_name + "\"]}", 0).error().status == 413);
  for (const char* body :
       {"", "{}", "[1]", R"({"op": "get"})", R"({"op": "incr", "by": 1, "by": 2})",
        R"({"op": "incr", "by": true})", R"({"op": "incr", "members": ["a"]})",
        R"({"op": "hset", "fields": {"a": 123456789012345678901}})", R"({"op": "expire"})"}) {
    INFO(body);
    auto refused = parse_change(body, 0);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == 400);
  }
  CHECK_FALSE(parse_change(R"({"op": "persist"})", 5));
}

TEST_CASE("counters, sets and hashes are JSON in one order", "[front_end]") {
  TypedReplicas counter(1), set(1), hash(1);
  counter.increment(0, "41");
  counter.increment(0, "1", "t");
  CHECK(shown(counter) == "42");
  set.change(0, {{ChangeKind::add, "b", {}}, {ChangeKind::add, "a\"", {}}, {ChangeKind::add, "\xff", {}}});
  CHECK(shown(set) == R"(["a\"","b",{"base64":"/w=="}])");
  hash.change(0, {{ChangeKind::set_field, "n", "5"}, {ChangeKind::set_field, "m", "007"}});
  CHECK(shown(hash) == R"({"m":"007","n":5})");
  hash.change(0, {{ChangeKind::set_field, "\xff", "v"}});
  CHECK(shown(hash) == R"([["m","007"],["n",5],[{"base64":"/w=="},"v"]])");
}

TEST_CASE("what replicas apart from each other made of one key is shown type by type", "[front_end]") {
  TypedReplicas on(3);
  on.increment(0, "1");
  on.change(1, {{ChangeKind::add, "a", {}}});
  on.overwrite(2, "7");
  on.pull_all();
  CHECK(types_in(on.live(0)) == std::vector<Type>{Type::counter, Type::set});
  CHECK(type_of(on.live(0)) == Type::counter);
  CHECK(registers_of(on.live(0), Type::counter).empty());  // the counter counts from it
  CHECK(registers_of(on.live(0), Type::set).size() == 1);
  CHECK(newest_of(on.live(0), Type::set).name == "a");
}

TEST_CASE("a counter, a set or a hash is a row of columns by its value", "[columns]") {
  auto definition = parse_table_definition(std::string_view(
      R"({"columns": [{"name": "n", "path": "", "type": "int64"}, {"name": "age", "type": "int64"},
          {"name": "city", "type": "string"}, {"name": "odd", "path": "/a~1b", "type": "float64"}]})"));
  REQUIRE(definition.ok());
  auto table = make_column_table("t", *definition);
  const auto row = [&](const TypedReplicas& on) {
    auto rows = table->rows(on.live(0));
    REQUIRE(rows.size() == 1);
    return rows[0];
  };
  TypedReplicas counter(1), set(1), hash(1);
  counter.increment(0, "41");
  CHECK(row(counter).values == std::vector<agg::Value>{int64_t{41}, {}, {}, {}});
  set.change(0, {{ChangeKind::add, "a", {}}, {ChangeKind::add, "b", {}}}, set.now_ms + 5);
  CHECK(row(set).values == std::vector<agg::Value>{int64_t{2}, {}, {}, {}});
  CHECK(row(set).expires_ms == set.now_ms + 5);
  hash.change(0, {{ChangeKind::set_field, "age", "36"},
                  {ChangeKind::set_field, "city", "7"},
                  {ChangeKind::set_field, "a/b", "0.5"}});
  hash.change(0, {{ChangeKind::increment_field, "age", "1"}});
  CHECK(row(hash).values == std::vector<agg::Value>{{}, int64_t{37}, "7", 0.5});
  CHECK_FALSE(check_columns(*definition, {{ChangeKind::set_field, "age", "36"}}));
  CHECK(check_columns(*definition, {{ChangeKind::set_field, "age", "3.5"}}));
  CHECK(check_columns(*definition, {{ChangeKind::increment_field_float, "age", "0.5"}}));
  CHECK(check_columns(*definition, {{ChangeKind::increment_field, "city", "1"}}));
  CHECK(check_columns(*definition, {{ChangeKind::set_field, "a/b", "text"}}));
  CHECK_FALSE(check_columns(*definition, {{ChangeKind::remove_field, "age", {}}}));
}

}  // namespace

}  // namespace covey::typed_front_test
