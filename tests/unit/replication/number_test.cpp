#include "replication/number.h"

#include <catch2/catch.hpp>
#include <limits>

namespace covey::number_test {

namespace {

using namespace covey;

std::string sum_of(const std::string& a, const std::string& b) {
  auto sum = add(parse_number(a).value(), parse_number(b).value());
  return sum ? text_of(*sum) : "overflow";
}

TEST_CASE("integers have one spelling", "[number]") {
  for (const char* good : {"0", "1", "-1", "9223372036854775807", "-9223372036854775808"})
    CHECK(std::to_string(parse_integer(good).value()) == good);
  for (const char* bad :
       {"", "-", "00", "01", "-0", "-01", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808"}) {
    INFO(bad);
    CHECK_FALSE(parse_integer(bad));
  }
}

TEST_CASE("a number is an integer or a finite float", "[number]") {
  CHECK_FALSE(parse_number("17")->is_float);
  for (const char* good : {"1.5", "-0.25", "1e3", "+2.5", ".5", "5.", "9223372036854775808", "-0", "007"}) {
    INFO(good);
    REQUIRE(parse_number(good));
    CHECK(parse_number(good)->is_float);
  }
  for (const char* bad :
       {"", "a", "1a", " 1.5", "1.5 ", "nan", "inf", "-infinity", "1e999999", "+-1.5", "--1", "."}) {
    INFO(bad);
    CHECK_FALSE(parse_number(bad));
  }
}

TEST_CASE("floats are written without exponents, and without digits that say nothing", "[number]") {
  CHECK(sum_of("10.5", "0.1") == "10.6");
  CHECK(sum_of("0.1", "0.2") == "0.3");
  CHECK(sum_of("5.0e3", "2.0e2") == "5200");
  CHECK(sum_of("3.0", "-5") == "-2");
  CHECK(sum_of("0.5", "-0.5") == "0");
  CHECK(sum_of("-0.0", "-0.0") == "0");
  CHECK(sum_of("1e18", "0.5") == "1000000000000000000.5");
  CHECK(text_of(*parse_number("1e4931")).size() == 4932);
}

TEST_CASE("a sum that does not fit is refused, and one that came about all the same ends at the border",
          "[number]") {
  CHECK(sum_of("9223372036854775807", "0") == "9223372036854775807");
  CHECK(sum_of("9223372036854775807", "1") == "overflow");
  CHECK(sum_of("-9223372036854775808", "-1") == "overflow");
  CHECK(sum_of("1e4932", "1e4932") == "overflow");
  NumberSum over, under, back;
  for (int i = 0; i < 3; ++i) {
    over.add(Number::of(std::numeric_limits<int64_t>::max()));
    under.add(Number::of(std::numeric_limits<int64_t>::min()));
    back.add(Number::of(i == 2 ? -9 : std::numeric_limits<int64_t>::max()));
  }
  CHECK(text_of(over.total()) == "9223372036854775807");
  CHECK(text_of(under.total()) == "-9223372036854775808");
  back.add(Number::of(-std::numeric_limits<int64_t>::max()));
  CHECK(text_of(back.total()) == "9223372036854775798");
  NumberSum floats;
  for (int i = 0; i < 2; ++i) floats.add(Number::of_float(std::numeric_limits<long double>::max()));
  CHECK(floats.total().real == std::numeric_limits<long double>::max());
}

}  // namespace

}  // namespace covey::number_test
