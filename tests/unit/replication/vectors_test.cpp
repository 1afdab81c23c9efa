// Agrees with the reference implementation of server-wide clocks on its own examples, and tells the stories
// that made siblings explode or deletes return elsewhere.
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "replication/object.h"
#include "tests/unit/replication/property.h"
#include "tests/unit/replication/replica_model.h"

namespace covey::vectors_test {
namespace {

using Json = nlohmann::json;

Json vectors(const std::string& name) {
  std::ifstream file(std::string(COVEY_SOURCE_DIR) + "/tests/vectors/" + name);
  REQUIRE(file.good());
  return Json::parse(file);
}

Actor actor_of(const std::string& name) { return make_actor(name, 1); }

void add_clock_entry(DotSet& out, const std::string& name, const Json& entry) {
  uint64_t base = entry.at("base"), bits = entry.at("bits");
  if (base > 0) out.add(actor_of(name), {1, base});
  for (uint64_t bit = 0; bit < 64; ++bit) {
    if (bits >> bit & 1) out.add(Dot{actor_of(name), Counter{base + 1 + bit}});
  }
}

DotSet clock_of(const Json& json) {
  DotSet out;
  for (const auto& [name, entry] : json.items()) add_clock_entry(out, name, entry);
  return out;
}

// The vectors' contexts are plain version vectors: each covers 1..counter.
Context context_of(const Json& json) {
  Context out;
  for (const auto& [name, counter] : json.items()) out.add(actor_of(name), {1, counter.get<uint64_t>()});
  return out;
}

Version version_of(const std::string& actor, uint64_t counter, const std::string& value) {
  Version out;
  out.dot = Dot{actor_of(actor), Counter{counter}};
  out.value = value;
  return out;
}

Object object_of(const Json& json) {
  Object out;
  for (const auto& v : json.at("versions")) out.versions.push_back(version_of(v[0], v[1], v[2]));
  std::sort(out.versions.begin(), out.versions.end(),
            [](const Version& a, const Version& b) { return a.dot < b.dot; });
  out.context = context_of(json.at("context"));
  return out;
}

}  // namespace

TEST_CASE("clocks agree with the reference implementation", "[vectors]") {
  Json all = vectors("clocks.json");
  for (const auto& c : all["normalize"]) {
    DotSet in, out;
    add_clock_entry(in, "a", c["in"]);
    add_clock_entry(out, "a", c["out"]);
    CHECK(in == out);
    CHECK(in.base(actor_of("a")) == c["out"]["base"].get<uint64_t>());
  }
  for (const auto& c : all["values"]) {
    DotSet in, out;
    add_clock_entry(in, "a", c["in"]);
    for (uint64_t counter : c["out"]) out.add(Dot{actor_of("a"), Counter{counter}});
    CHECK(in == out);
  }
  for (const auto& c : all["missing_dots"]) {
    DotSet missing = clock_of(c["known"]), expected;
    missing.subtract(clock_of(c["of"]));
    for (const auto& [name, counters] : c["missing"].items()) {
      for (uint64_t counter : counters) expected.add(Dot{actor_of(name), Counter{counter}});
    }
    CHECK(missing == expected);
  }
  for (const auto& c : all["add_dot"]) {
    DotSet clock = clock_of(c["clock"]);
    clock.add(Dot{actor_of(c["dot"][0]), Counter{c["dot"][1].get<uint64_t>()}});
    CHECK(clock == clock_of(c["out"]));
  }
  for (const auto& c : all["merge_clocks"]) {
    DotSet ab = clock_of(c["a"]), ba = clock_of(c["b"]);
    ab.join(clock_of(c["b"]));
    ba.join(clock_of(c["a"]));
    CHECK(ab == clock_of(c["out"]));
    CHECK(ba == ab);
  }
  for (const auto& c : all["base"]) CHECK(clock_of(c["in"]).bases() == context_of(c["out"]));
  for (const auto& c : all["mint"]) {
    CHECK(clock_of(c["clock"]).highest(actor_of(c["actor"])) + 1 == c["counter"].get<uint64_t>());
  }
}

TEST_CASE("objects agree with the reference implementation", "[vectors]") {
  Json all = vectors("clocks.json");
  for (const auto& c : all["merge_objects"]) {
    CHECK(merge(object_of(c["a"]), object_of(c["b"])) == object_of(c["out"]));
    CHECK(merge(object_of(c["b"]), object_of(c["a"])) == object_of(c["out"]));
  }
  for (const auto& c : all["discard"]) {
    Object object = object_of(c["object"]);
    discard(object, context_of(c["context"]));
    CHECK(object == object_of(c["out"]));
  }
  for (const auto& c : all["strip"]) {
    // Ours keeps an exact set: where the bases cover a part, only the rest of a vector's 1..counter remains.
    // Filled again, both say the same.
    DotSet clock = clock_of(c["clock"]);
    Object stripped = strip(object_of(c["object"]), clock), expected = object_of(c["out"]);
    CHECK(same_versions(stripped, expected));
    CHECK(fill(stripped, clock) == fill(expected, clock));
    CHECK(expected.context.contains(stripped.context));
  }
  for (const auto& c : all["fill"]) {
    CHECK(fill(object_of(c["object"]), clock_of(c["clock"])) == object_of(c["out"]));
  }
  for (const auto& c : all["add_version"]) {
    // The reference's context for the new dot is its counter; ours is the dot itself.
    Object object = object_of(c["object"]), expected = object_of(c["out"]);
    Version added = version_of(c["dot"][0], c["dot"][1], c["value"]);
    Object alone{{added}, {added.dot}};
    Object merged = object;
    merged.versions.push_back(added);
    std::sort(merged.versions.begin(), merged.versions.end(),
              [](const Version& a, const Version& b) { return a.dot < b.dot; });
    CHECK(same_versions(merged, expected));
    Object once_more = merge(Object{object.versions, {}}, alone);
    CHECK(once_more.versions == merged.versions);
  }
  for (const auto& c : all["dots_of_object_into_clock"]) {
    DotSet clock = clock_of(c["clock"]);
    for (const Version& version : object_of(c["object"]).versions) clock.add(version.dot);
    CHECK(clock == clock_of(c["out"]));
  }
}

TEST_CASE("the stories end as their readers expect", "[vectors]") {
  const Json all = vectors("stories.json");
  for (const auto& story : all["stories"]) {
    INFO(story["name"].get<std::string>());
    testing::Cluster cluster({"r1", "r2", "r3"});
    std::map<std::string, Context> contexts;
    for (const auto& step : story["steps"]) {
      std::string what = step[0];
      if (what == "sync") {
        cluster.sync();
      } else if (what == "cut" || what == "heal") {
        cluster.cut(step[1], what == "cut");
      } else if (what == "get") {
        contexts[step[2]] = cluster.read(step[1]).context;
      } else {
        const Json& name = what == "put" ? step[3] : step[2];
        Context context = name.is_null() ? Context{} : contexts.at(name);
        std::optional<std::string> value;
        if (what == "put") value = step[2].get<std::string>();
        cluster.write(step[1], value, context);
      }
    }
    std::vector<std::string> expected = story["expect"];
    CHECK(cluster.read_all() == expected);
  }
}

}  // namespace covey::vectors_test
