// A forged or damaged context would overwrite values that its holder never saw.
#include "replication/context_token.h"

#include <map>

#include "replication/base64.h"
#include "tests/unit/replication/generators.h"
#include "tests/unit/replication/property.h"

namespace covey::context_token_test {
namespace {

std::string seal(const TokenKey& secret, std::string_view table, std::string_view key, const Context& context,
                 const DotSet& needed = {}) {
  return seal_context(secret, table, key, context, [&] { return needed; });
}

}  // namespace

TEST_CASE("a client's context comes back as it was given", "[context_token]") {
  TokenKey secret = token_key("cluster");
  CHECK_PROPERTY("round trip", [=](const DotSet& context, const std::string& key) {
    std::string token = seal(secret, "t", key, context);
    RC_ASSERT(open_context(secret, "t", key, token) == context);
    RC_ASSERT(token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
              std::string::npos);
  });
}

TEST_CASE("a context for one key is refused for another", "[context_token]") {
  TokenKey secret = token_key("cluster");
  DotSet context{Dot{Actor{1}, Counter{1}}};
  std::string token = seal(secret, "table", "key", context);
  REQUIRE(open_context(secret, "table", "key", token));
  CHECK_FALSE(open_context(secret, "table", "key2", token));
  CHECK_FALSE(open_context(secret, "table2", "key", token));
  CHECK_FALSE(open_context(secret, "tablek", "ey", token));  // the same bytes, cut elsewhere
  CHECK_FALSE(open_context(token_key("another"), "table", "key", token));
}

TEST_CASE("a context that was cut, changed or made up is refused", "[context_token]") {
  TokenKey secret = token_key("cluster");
  CHECK_PROPERTY("cut or lengthened", [=](const DotSet& context) {
    std::string token = seal(secret, "t", "k", context);
    for (size_t size = 0; size < token.size(); ++size)
      RC_ASSERT(!open_context(secret, "t", "k", token.substr(0, size)));
    for (const char* more : {"A", "AA", "AAA", "AAAA", "=", " ", "\n"}) {
      RC_ASSERT(!open_context(secret, "t", "k", token + more));
    }
  });
  CHECK_PROPERTY("one character changed", [=](const DotSet& context, size_t at, char other) {
    std::string token = seal(secret, "t", "k", context);
    char& changed = token[at % token.size()];
    RC_PRE(changed != other);
    changed = other;
    RC_ASSERT(!open_context(secret, "t", "k", token));
  });
  CHECK_PROPERTY("made up", [=](const std::string& bytes) {
    RC_ASSERT(!open_context(secret, "t", "k", bytes));
    RC_ASSERT(!open_context(secret, "t", "k", base64_encode(bytes, Base64::url)));
  });
  CHECK_FALSE(open_context(secret, "t", "k", std::string(1 << 20, 'A')));
}

TEST_CASE("every context that is given out can be sent back, and names what was read", "[context_token]") {
  const TokenKey secret = token_key("cluster");
  for (const uint64_t actors : {100, 1'000, 2'000, 3'000, 100'000}) {
    std::map<uint64_t, uint64_t> newest;  // in order: each added in between would move those behind it
    for (uint64_t i = 1; i <= actors; ++i) newest[i * 0x9e3779b97f4a7c15] = i;
    Context context;
    for (const auto& [actor, counter] : newest) context.add(Actor{actor}, {1, counter});
    context.add(Dot{Actor{7}, Counter{5}});
    DotSet needed{Dot{Actor{7}, Counter{5}}};
    for (uint64_t i = 1; i <= 100; ++i)
      needed.add(Dot{Actor{(actors - i / 2) * 0x9e3779b97f4a7c15}, Counter{i / 2 + 1}});
    context.join(needed);
    const std::string token = seal(secret, "t", "k", context, needed);
    CHECK(token.size() <= token_bytes_max);
    const auto opened = open_context(secret, "t", "k", token);
    REQUIRE(opened);
    CHECK(opened->contains(needed));
    CHECK(context.contains(*opened));
    CHECK((*opened == context) == (actors <= 2'000));
    CHECK(opened->entries().size() >= std::min<size_t>(actors, 900));
  }
}

}  // namespace covey::context_token_test
