// What a user of counters, sets and hashes would lose.
#include "replication/typed.h"

#include <catch2/catch.hpp>

#include "typed_replicas.h"

namespace covey::typed_test {

namespace {

using namespace covey;
using covey::testing::TypedReplicas;
using Strings = std::vector<std::string>;

std::vector<Change> adding(const Strings& names) {
  std::vector<Change> out;
  for (const auto& name : names) out.push_back({ChangeKind::add, name, {}});
  return out;
}
std::vector<Change> removing(const Strings& names) {
  std::vector<Change> out;
  for (const auto& name : names) out.push_back({ChangeKind::remove, name, {}});
  return out;
}
Change set(const std::string& name, const std::string& value) { return {ChangeKind::set_field, name, value}; }

TEST_CASE("increments made apart from each other add up", "[typed]") {
  TypedReplicas on(3);
  CHECK(on.increment(0, "5").changed.value == "5");
  on.increment(1, "7");
  on.increment(0, "1");
  on.increment(2, "-20");
  CHECK(on.count(0) == "6");
  on.pull_all();
  for (size_t i = 0; i < 3; ++i) CHECK(on.count(i) == "-7");
  // What one actor has added is one version, however often it adds.
  CHECK(on[0].object.versions.size() == 3);
  for (int i = 0; i < 10; ++i) on.increment(0, "1");
  CHECK(on[0].object.versions.size() == 3);
  CHECK(on.count(0) == "3");
}

TEST_CASE("what a register held is part of the counter, once", "[typed]") {
  TypedReplicas on(2);
  on.overwrite(0, "5");
  on.pull_all();
  CHECK(on.increment(0, "1").changed.value == "6");
  on.increment(1, "1");
  on.pull_all();
  CHECK(on.count(0) == "7");
  CHECK(type_of(on.live(0)) == Type::counter);
  on.overwrite(1, "100");
  on.pull_all();
  CHECK(on.count(0) == "100");
  CHECK(type_of(on.live(0)) == Type::value);
  on.overwrite(0, "a text");
  CHECK(on.increment(0, "1").status == Status::not_a_number);
  on.overwrite(0, "1.5");
  CHECK(on.increment(0, "1").status == Status::not_a_number);
  CHECK(on.change(0, {{ChangeKind::increment_float, {}, "1"}}).changed.value == "2.5");
}

TEST_CASE("what floats add up to is an integer if it is written as one, and a text that is not is none",
          "[typed]") {
  TypedReplicas on(1);
  on.change(0, {{ChangeKind::increment_float, {}, "2.5"}});
  CHECK(on.increment(0, "1").status == Status::not_a_number);
  CHECK(on.change(0, {{ChangeKind::increment_float, {}, "0.5"}}).changed.value == "3");
  CHECK(on.increment(0, "1").changed.value == "4");
  on.overwrite(0, "01");
  CHECK(on.increment(0, "1").status == Status::not_a_number);
  CHECK(on.change(0, {{ChangeKind::increment_float, {}, "1"}}).changed.value == "2");
}

TEST_CASE("a delete spares the node's count that it has not seen", "[typed]") {
  TypedReplicas on(2);
  on.increment(0, "5");
  on.pull_all();
  on.increment(0, "1");
  on.overwrite(1, std::nullopt);
  on.pull_all();
  CHECK(on.count(0) == "6");
  CHECK(on.count(1) == "6");
}

TEST_CASE("an increment that would overflow is refused, and an integer does not turn into a float",
          "[typed]") {
  TypedReplicas on(2);
  on.increment(0, "9223372036854775807");
  CHECK(on.increment(0, "1").status == Status::number_overflow);
  // What is an integer, however it is written, is stored as one.
  CHECK(on.change(0, {{ChangeKind::increment_float, {}, "1.0e0"}}).status == Status::number_overflow);
  CHECK(on.change(0, {{ChangeKind::increment_float, {}, "01"}}).status == Status::number_overflow);
  CHECK(on.count(0) == "9223372036854775807");
  CHECK(on.increment(0, "-1").changed.value == "9223372036854775806");
  on.increment(1, "10");
  on.pull_all();
  CHECK(on.count(0) == "9223372036854775807");
  CHECK(on.increment(0, "-20").changed.value == "9223372036854775787");
  CHECK(on.increment(0, "1.5").status == Status::not_a_number);
}

TEST_CASE("an increment with a token counts once, whoever it is sent to again", "[typed]") {
  TypedReplicas on(3);
  CHECK(on.increment(0, "5", "t").changed.value == "5");
  Plan again = on.increment(0, "5", "t");
  CHECK(again.changed.repeated);
  CHECK(again.changed.value == "5");
  on.increment(1, "5", "t");  // it has not heard of the first
  on.increment(2, "1", "u");
  on.pull_all();
  for (size_t i = 0; i < 3; ++i) CHECK(on.count(i) == "6");
  CHECK(on.increment(2, "5", "t").changed.repeated);
  // After the window they become part of a sum: that of the one whose token counts.
  on.now_ms += on.options.token_window_ms + 1;
  for (size_t i = 0; i < 3; ++i) on.increment(i, "1");
  on.pull_all();
  for (size_t i = 0; i < 3; ++i) {
    CHECK(on.count(i) == "9");
    CHECK(on[i].object.versions.size() == 3);
  }
}

TEST_CASE("tokens have a limit, and room again when their time is over", "[typed]") {
  TypedReplicas on(1);
  on.options.tokens_max = 2;
  on.increment(0, "1", "a");
  on.increment(0, "1", "b");
  CHECK(on.increment(0, "1", "c").status == Status::too_many_tokens);
  CHECK(on.increment(0, "1", "a").changed.repeated);
  CHECK(on.increment(0, "1").changed.value == "3");
  on.now_ms += on.options.token_window_ms + 1;
  CHECK(on.increment(0, "1", "c").changed.value == "4");
  CHECK(on[0].object.versions.size() == 2);
}

TEST_CASE("a copy that may lack dots of its own node's leaves what it holds of them", "[typed]") {
  TypedReplicas on(2);
  on.increment(0, "5");
  on.pull(1, 0);
  on.increment(0, "2");  // only node 0 has it, and drops its data
  Object later = on[0].object;
  on[0].object = on[1].object;  // what it is sent is from before
  on.options.own_from = 3;
  on.increment(0, "1");
  on.increment(0, "1");  // and goes on with what it knows all of
  CHECK(on[0].object.versions.size() == 2);
  on[1].object = merge(on[1].object, later);
  on.pull_all();
  CHECK(on.count(0) == "9");
}

TEST_CASE("of an addition and a removal at once the addition stays", "[typed]") {
  TypedReplicas on(2);
  CHECK(on.change(0, adding({"a", "b", "a"})).changed.added == 2);
  on.pull_all();
  CHECK(on.change(0, adding({"a"})).changed.added == 0);
  CHECK(on.change(1, removing({"a", "b", "c"})).changed.removed == 2);
  on.pull_all();
  CHECK(on.elements(0) == Strings{"a"});
  CHECK(on.elements(1) == Strings{"a"});
  CHECK(on.change(0, removing({"a"})).changed.removed == 1);
  on.pull_all();
  CHECK(on[1].object.versions.empty());
}

TEST_CASE("fields of a hash are independent of each other", "[typed]") {
  TypedReplicas on(2);
  CHECK(on.change(0, {set("a", "1"), set("b", "2"), set("a", "3")}).changed.added == 2);
  on.pull_all();
  on.change(0, {set("a", "left")});
  on.change(1, {set("a", "right"), {ChangeKind::remove_field, "b", {}}});
  on.change(0, {set("c", "5")});
  on.pull_all();
  for (size_t i = 0; i < 2; ++i) {
    CHECK(on.hash_field(i, "a") == "right");  // the later one
    CHECK(on.hash_field(i, "b") == "(none)");
    CHECK(on.hash_field(i, "c") == "5");
  }
  CHECK(on[0].object.versions.size() == 3);  // both of "a" are kept
  CHECK(on.change(0, {{ChangeKind::set_field_if_absent, "a", "x"}}).changed.added == 0);
  CHECK(on.hash_field(0, "a") == "right");
  CHECK(on.change(0, {{ChangeKind::set_field_if_absent, "d", "x"}}).changed.added == 1);
}

TEST_CASE("a field counts as a counter does, on top of what it was set to", "[typed]") {
  TypedReplicas on(2);
  Change one{ChangeKind::increment_field, "f", "1"};
  CHECK(on.change(0, {set("f", "10"), one}).changed.value == "11");
  on.pull_all();
  CHECK(on.change(0, {one}).changed.value == "12");
  on.change(1, {one});
  on.pull_all();
  CHECK(on.hash_field(0, "f") == "13");
  CHECK(on.change(1, {one, {ChangeKind::remove_field, "f", {}}, one}).changed.value == "1");
  on.pull_all();
  CHECK(on.hash_field(0, "f") == "1");
  CHECK(on[0].object.versions.size() == 1);
  on.change(0, {set("f", "text")});
  CHECK(on.change(0, {one}).status == Status::not_a_number);
  Change float_one{ChangeKind::increment_field_float, "g", "0.5"};
  CHECK(on.change(0, {float_one, float_one}).changed.value == "1");
}

TEST_CASE("an operation of another type is refused, and what writers apart from each other left is kept",
          "[typed]") {
  TypedReplicas on(2);
  on.change(0, adding({"a"}));
  on.change(1, {set("f", "v")});
  CHECK(on.increment(0, "1").status == Status::wrong_type);
  CHECK(on.change(0, {set("f", "v")}).status == Status::wrong_type);
  on.pull_all();
  CHECK(type_of(on.live(0)) == Type::hash);  // the later one
  CHECK(siblings_of(on.live(0)) == 2);
  CHECK(on.change(0, adding({"b"})).status == Status::wrong_type);
  on.overwrite(0, "1");
  CHECK(on.change(0, adding({"b"})).status == Status::wrong_type);
  on.pull_all();
  CHECK(on[1].object.versions.size() == 1);
}

TEST_CASE("elements have a limit in number and in bytes, and what is there can be taken away", "[typed]") {
  TypedReplicas on(1);
  on.options.elements_max = 3;
  on.options.bytes_max = 10;
  CHECK(on.change(0, adding({"a", "b", "c", "d"})).status == Status::too_many_elements);
  CHECK(on.change(0, adding({"a", "b", "c"})).status == Status::ok);
  CHECK(on.change(0, adding({"a", "b"})).status == Status::ok);
  CHECK(on.change(0, adding({"d"})).status == Status::too_many_elements);
  on.change(0, removing({"a", "b"}));
  CHECK(on.change(0, adding({"0123456789"})).status == Status::object_too_large);
  CHECK(on.change(0, adding({"012345678"})).status == Status::ok);
  on.options.bytes_max = 2;
  CHECK(on.change(0, removing({"c"})).status == Status::ok);
}

TEST_CASE("a key's expiry takes what was there, and later changes keep it", "[typed]") {
  TypedReplicas on(2);
  on.change(0, adding({"a"}));
  on.pull_all();
  CHECK(on.change(0, {{ChangeKind::expire, {}, {}}}, on.now_ms + 1000).changed.added == 1);
  on.change(0, adding({"b"}));
  on.change(1, adding({"c"}));
  on.pull_all();
  CHECK(on.elements(1) == Strings{"a", "b", "c"});
  on.now_ms += 999;
  CHECK(on.elements(1) == Strings{"a", "b", "c"});
  on.now_ms += 1;
  CHECK(on.elements(1).empty());
  CHECK(type_of(on.live(1)) == Type::none);
  // What is written then is a new set, of any type.
  CHECK(on.increment(1, "1").changed.value == "1");
  CHECK(on[1].object.versions.size() == 1);
  on.pull_all();
  CHECK(on[0].object.versions.size() == 1);
}

TEST_CASE("an expiry can be changed and taken away", "[typed]") {
  TypedReplicas on(1);
  Change expire{ChangeKind::expire, {}, {}};
  CHECK(on.change(0, {expire}, on.now_ms + 10).changed.added == 0);  // there is no such key
  on.change(0, adding({"a"}), on.now_ms + 1000);
  CHECK(key_expiry(on[0].object) == on.now_ms + 1000);
  on.change(0, {expire}, on.now_ms + 5000);
  CHECK(key_expiry(on[0].object) == on.now_ms + 5000);
  on.change(0, {expire});
  CHECK(on[0].object.versions.size() == 1);
  on.change(0, {expire}, on.now_ms + 1);
  on.change(0, removing({"a"}));
  CHECK(on[0].object.versions.empty());
  on.change(0, adding({"a"}));
  on.change(0, {expire}, on.now_ms - 1);  // over already
  CHECK(on[0].object.versions.empty());
}

TEST_CASE("what is added to a register that expires goes with it", "[typed]") {
  TypedReplicas on(1);
  on.overwrite(0, "5");
  on[0].object.versions[0].expires_ms = on.now_ms + 1000;
  CHECK(on.increment(0, "1").changed.value == "6");
  on.now_ms += 1000;
  CHECK(on.live(0).versions.empty());
  on.overwrite(0, "5");
  on[0].object.versions[0].expires_ms = on.now_ms + 1000;
  on.increment(0, "1");
  on.change(0, {{ChangeKind::expire, {}, {}}});
  on.now_ms += 2000;
  CHECK(on.count(0) == "6");
}

TEST_CASE("a table that shows the newest value shows all of a counter, a set or a hash", "[typed]") {
  TypedReplicas on(2);
  on.change(0, {set("f", "old"), set("g", "1")});
  on.change(1, {set("f", "new")});
  on.pull_all();
  Object shown = on.live(0);
  resolve(shown, Conflicts::last_write_wins);
  CHECK(shown.versions.size() == 2);
  CHECK(field(shown, "f") == "new");
  CHECK(field(shown, "g") == "1");
  CHECK(shown.context.contains(dots_of(on.live(0))));
}

TEST_CASE("changes in one request belong to one type and are within their limits", "[typed]") {
  CHECK_FALSE(sound(std::vector<Change>{}));
  CHECK(sound(adding({"a", ""})));
  CHECK_FALSE(sound({{ChangeKind::add, "a", {}}, set("f", "v")}));
  CHECK_FALSE(sound({{ChangeKind::increment, {}, "x"}}));
  CHECK_FALSE(sound({{ChangeKind::increment, {}, "1.5"}}));
  CHECK(sound({{ChangeKind::increment_float, {}, "1.5"}}));
  CHECK_FALSE(sound({{ChangeKind::increment, std::string(change_token_bytes_max + 1, 't'), "1"}}));
  CHECK_FALSE(sound(adding({std::string(element_bytes_max + 1, 'e')})));
  CHECK_FALSE(sound({{ChangeKind::expire, {}, {}}, {ChangeKind::expire, {}, {}}}));
  CHECK_FALSE(sound({{ChangeKind::count, {}, {}}}));
}

}  // namespace

}  // namespace covey::typed_test
