// Two shopping carts changed at once, by two clients that had read the same context: neither change is lost.
// The third client reads both siblings and merges them.
//
//   covey-example-merge_carts [HOST:PORT]
#include <cstdio>
#include <set>
#include <string>

#include "client/client.h"

namespace {

using covey::client::Client;
using covey::client::Json;

int fail(const covey::client::Error& error) {
  std::fprintf(stderr, "%s%s\n", error.message.c_str(), error.outcome_unknown ? " (outcome unknown)" : "");
  return 1;
}

}  // namespace

int main(int count, char** words) {
  auto client = Client::open({.endpoints = {count > 1 ? words[1] : "127.0.0.1:7101"}});
  if (!client) return fail(client.error());

  auto before = client->get("default", "cart:example");
  if (!before) return fail(before.error());
  for (const char* cart : {R"(["bread","milk"])", R"(["bread","tea"])"}) {
    auto written = client->put("default", "cart:example", cart, {.context = before->context});
    if (!written) return fail(written.error());
  }

  auto now = client->get("default", "cart:example");
  if (!now) return fail(now.error());
  std::set<std::string> items;
  for (const auto& version : now->versions) {
    std::printf("sibling %s: %s\n", version.dot.c_str(), version.value.c_str());
    for (const Json& item : Json::parse(version.value)) items.insert(item.get<std::string>());
  }
  auto merged = client->put("default", "cart:example", Json(items).dump(), {.context = now->context});
  if (!merged) return fail(merged.error());

  auto after = client->get("default", "cart:example");
  if (!after) return fail(after.error());
  std::printf("merged: %s\n", after->found() ? after->versions.front().value.c_str() : "nothing");
  return after->versions.size() == 1 ? 0 : 1;
}
