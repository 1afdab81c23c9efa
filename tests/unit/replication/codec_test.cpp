// Bytes that are read wrongly are data lost: every decoder takes back what was written, and nothing else.
#include "replication/codec.h"

#include "tests/unit/replication/generators.h"
#include "tests/unit/replication/property.h"

namespace covey::codec_test {
namespace {

using testing::version_of;

std::string bytes_of(std::initializer_list<int> values) {
  std::string out;
  for (int value : values) out.push_back(static_cast<char>(value));
  return out;
}

// Whatever is cut off, added behind or changed: refused, or read as something that writes the same bytes.
template <class Decode>
void expect_strict(const std::string& bytes, Decode decode) {
  for (size_t size = 0; size < bytes.size(); ++size) RC_ASSERT(!decode(bytes.substr(0, size)));
  RC_ASSERT(!decode(bytes + '\0'));
  RC_ASSERT(!decode(bytes + bytes));
}

template <class Decode>
void expect_canonical(std::string bytes, size_t at, uint8_t flip, Decode decode) {
  bytes[at % bytes.size()] = static_cast<char>(bytes[at % bytes.size()] ^ flip);
  auto out = decode(bytes);
  RC_ASSERT((!out || encode(*out) == bytes));
}

auto dot_set_decoder = [](const std::string& bytes) { return decode_dot_set(std::string_view(bytes)); };
auto object_decoder = [](const std::string& bytes) { return decode_object(bytes); };

}  // namespace

TEST_CASE("a clock is read back as it was written", "[codec]") {
  CHECK_PROPERTY("round trip", [](const DotSet& set) {
    std::string bytes = encode(set);
    auto out = decode_dot_set(std::string_view(bytes));
    RC_ASSERT(out.has_value());
    RC_ASSERT(*out == set);
    RC_ASSERT(testing::is_normal(*out));
    expect_strict(bytes, dot_set_decoder);
  });
  CHECK_PROPERTY("one spelling", [](const DotSet& set, size_t at, uint8_t flip) {
    expect_canonical(encode(set), at, flip, dot_set_decoder);
  });
}

TEST_CASE("an object is read back as it was written", "[codec]") {
  CHECK_PROPERTY("round trip", [](const Object& object) {
    std::string bytes = encode(object);
    auto out = decode_object(bytes);
    RC_ASSERT(out.has_value());
    RC_ASSERT(*out == object);
    expect_strict(bytes, object_decoder);
  });
  CHECK_PROPERTY("one spelling", [](const Object& object, size_t at, uint8_t flip) {
    expect_canonical(encode(object), at, flip, object_decoder);
  });
  for (const char* type : {"", "application/json", "text/plain", "application/octet-stream", "x"}) {
    Object object{{version_of(Dot{Actor{1}, Counter{1}})}, {}};
    object.versions[0].content_type = type;
    object.versions[0].value = std::string(300, '\0');
    object.versions[0].time.value = UINT64_MAX;
    object.versions[0].expires_ms = UINT64_MAX;
    CHECK(decode_object(encode(object)) == object);
  }
}

TEST_CASE("clocks that are not in normal form are refused", "[codec]") {
  auto refused = [](const std::string& bytes) { return !decode_dot_set(std::string_view(bytes)); };
  std::string actor_1 = bytes_of({1, 0, 0, 0, 0, 0, 0, 0}), actor_2 = bytes_of({2, 0, 0, 0, 0, 0, 0, 0});
  auto good = bytes_of({2}) + actor_1 + bytes_of({5, 0}) + actor_2 + bytes_of({0, 1, 2, 3});
  REQUIRE_FALSE(refused(good));

  CHECK(refused(bytes_of({1}) + actor_1 + bytes_of({0, 0})));  // an entry without dots
  CHECK(refused(bytes_of({2}) + actor_2 + bytes_of({5, 0}) + actor_1 +
                bytes_of({5, 0})));  // actors out of order
  CHECK(refused(bytes_of({2}) + actor_1 + bytes_of({5, 0}) + actor_1 + bytes_of({6, 0})));  // an actor twice
  CHECK(refused(bytes_of({1}) + actor_1 + bytes_of({5, 1, 0, 3})));        // a run inside the base
  CHECK(refused(bytes_of({1}) + actor_1 + bytes_of({5, 1, 1, 3})));        // a run that touches the base
  CHECK(refused(bytes_of({1}) + actor_1 + bytes_of({0, 2, 4, 1, 1, 1})));  // runs that touch
  CHECK(refused(bytes_of({1}) + actor_1 + bytes_of({0x85, 0x00, 0})));     // a number spelled too long
  std::string top = bytes_of({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01});
  std::string more = bytes_of({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02});
  CHECK_FALSE(refused(bytes_of({1}) + actor_1 + top + bytes_of({0})));
  CHECK(refused(bytes_of({1}) + actor_1 + more + bytes_of({0})));       // beyond 64 bits
  CHECK(refused(bytes_of({1}) + actor_1 + top + bytes_of({1, 2, 0})));  // wraps around
  CHECK(refused(bytes_of({1}) + actor_1 + bytes_of({5, 1, 2}) + top));  // likewise
}

TEST_CASE("a count that promises more than there is costs nothing", "[codec]") {
  std::string huge = bytes_of({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01});
  CHECK_FALSE(decode_dot_set(std::string_view(huge)));
  CHECK_FALSE(decode_object(bytes_of({1}) + huge));
  std::string entry = bytes_of({1, 1, 0, 0, 0, 0, 0, 0, 0, 1}) + huge;
  CHECK_FALSE(decode_dot_set(std::string_view(entry)));
  Reader in(huge);
  CHECK(in.bytes().empty());
  CHECK_FALSE(in.ok());
}

TEST_CASE("an object of another format, or with impossible fields, is refused", "[codec]") {
  Dot dot{Actor{7}, Counter{3}};
  Object object{{version_of(dot)}, {dot}};
  object.versions[0].content_type = "application/json";
  std::string bytes = encode(object);
  REQUIRE(decode_object(bytes));
  auto with = [&](size_t at, int value) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(value);
    return decode_object(changed);
  };
  CHECK_FALSE(with(0, 0));   // formats start at 1
  CHECK_FALSE(with(0, 2));   // a newer one
  CHECK_FALSE(with(10, 0));  // counter 0
  size_t type_at = 1 + 1 + 8 + 1 + 8 + 1;
  REQUIRE(bytes[type_at] == 2);
  CHECK_FALSE(with(type_at, 6));  // a content type that has no number

  Object twice{{version_of(dot), version_of(dot)}, {}};
  CHECK_FALSE(decode_object(encode(twice)));
  Object unordered{{version_of(dot), version_of(Dot{Actor{6}, Counter{3}})}, {}};
  CHECK_FALSE(decode_object(encode(unordered)));
}

TEST_CASE("registers are stored as they were before there were other kinds of versions", "[codec]") {
  Object object;
  object.versions.push_back({{{1}, {2}}, {3}, 0, "application/json", "7", {}, {}});
  const std::string bytes =
      bytes_of({1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, '7', 0});
  CHECK(encode(object) == bytes);
  CHECK(decode_object(bytes) == object);
  object.versions[0].kind = VersionKind::field;
  object.versions[0].name = "f";
  const std::string typed =
      bytes_of({2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, '7', 3, 1, 'f', 0});
  CHECK(encode(object) == typed);
  CHECK(decode_object(typed) == object);
}

TEST_CASE("kinds that are not known, and registers in the format of others, are refused", "[codec]") {
  Object object;
  object.versions.push_back({{{1}, {2}}, {3}, 0, {}, "7", VersionKind::member, "a"});
  std::string bytes = encode(object);
  const size_t kind = bytes.size() - 4;
  REQUIRE(bytes[kind] == 2);
  for (int other : {0, static_cast<int>(VersionKind::count), 255}) {
    bytes[kind] = static_cast<char>(other);
    CHECK_FALSE(decode_object(bytes));
  }
  bytes = encode(object);
  bytes.replace(kind, 3, bytes_of({0, 0}));
  CHECK_FALSE(decode_object(bytes));
}

TEST_CASE("storage keys sort by partition, then table, then key", "[codec]") {
  CHECK(object_key(PartitionId{1}, "t", "z") < object_key(PartitionId{2}, "a", "a"));
  CHECK(object_key(PartitionId{255}, "t", "z") < object_key(PartitionId{256}, "a", "a"));
  CHECK(object_key(PartitionId{1}, "t", "z") < object_key(PartitionId{1}, "t2", "a"));
  CHECK(object_key(PartitionId{1}, "t", "a") < object_key(PartitionId{1}, "t", "b"));
  CHECK(dot_key(PartitionId{1}, {Actor{1}, Counter{255}}) <
        dot_key(PartitionId{1}, {Actor{1}, Counter{256}}));
  CHECK(expiry_key(PartitionId{1}, 255, "t", "k") < expiry_key(PartitionId{1}, 256, "a", "a"));
  CHECK_PROPERTY("order of keys is order of bytes", [](const std::string& a, const std::string& b) {
    RC_ASSERT((object_key(PartitionId{3}, "t", a) < object_key(PartitionId{3}, "t", b)) == (a < b));
  });
}

TEST_CASE("storage keys are read back as they were written", "[codec]") {
  CHECK_PROPERTY("object keys, dot values, expiry keys", [](uint32_t p, uint64_t ms, const std::string& key) {
    RC_PRE(!key.empty());
    TableKey expected{"table_1", key};
    RC_ASSERT(decode_object_key(object_key(PartitionId{p}, "table_1", key)) == expected);
    RC_ASSERT(decode_dot_value(dot_value("table_1", key)) == expected);
    auto expiry = decode_expiry_key(expiry_key(PartitionId{p}, ms, "table_1", key));
    RC_ASSERT(expiry.has_value());
    RC_ASSERT((expiry->partition.value == p && expiry->expires_ms == ms && expiry->key == expected));
  });
  CHECK_PROPERTY("dot keys", [](uint32_t p, const Dot& dot) {
    std::string bytes = dot_key(PartitionId{p}, dot);
    auto out = decode_dot_key(bytes);
    RC_ASSERT(out.has_value());
    RC_ASSERT((out->partition.value == p && out->dot == dot));
    RC_ASSERT((!decode_dot_key(bytes.substr(1)) && !decode_dot_key(bytes + "x")));
  });
  CHECK_FALSE(decode_dot_key(dot_key(PartitionId{1}, {Actor{1}, Counter{0}})));
  std::string key = object_key(PartitionId{1}, "t", "k");
  for (size_t size = 0; size < key.size(); ++size) CHECK_FALSE(decode_object_key(key.substr(0, size)));
  CHECK_FALSE(decode_object_key(object_key(PartitionId{1}, "", "k")));
  CHECK_FALSE(decode_dot_value("no zero byte"));
  CHECK_FALSE(decode_expiry_key(object_key(PartitionId{1}, "t", "k")));
}

TEST_CASE("a prefix's end is beyond all its keys and before the next prefix", "[codec]") {
  CHECK(after_prefix("a") == "b");
  CHECK(after_prefix("a\xff\xff") == "b");
  CHECK(after_prefix("\xff\xff").empty());
  CHECK(after_prefix("").empty());
  CHECK_PROPERTY("bounds", [](const std::string& prefix, const std::string& rest) {
    std::string end = after_prefix(prefix);
    RC_ASSERT((end.empty() || prefix + rest < end));
  });
}

}  // namespace covey::codec_test
