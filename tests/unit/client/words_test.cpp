#include "client/cli/words.h"

#include <catch2/catch.hpp>

namespace covey::cli::words_test {

TEST_CASE("the shell's lines are split as sh splits them", "[client]") {
  using Words = std::vector<std::string>;
  CHECK(split_words("") == Words{});
  CHECK(split_words("  get \t a ") == Words{"get", "a"});
  CHECK(split_words(R"(put k '{"a": "b\n"}')") == Words{"put", "k", R"({"a": "b\n"})"});
  CHECK(split_words(R"(put k "say \"hi\" \n")") == Words{"put", "k", R"(say "hi" \n)"});
  CHECK(split_words(R"(a\ b ''"" c'd'e)") == Words{"a b", "", "cde"});
  CHECK_FALSE(split_words("put k 'open"));
  CHECK_FALSE(split_words("put k \"open"));
  CHECK_FALSE(split_words("put k \\"));
}

}  // namespace covey::cli::words_test
