// A counter's number: a 64-bit integer, or a float of extended precision. As text it is what Redis would
// show: no exponent, up to 17 digits behind the point and no zeros at the end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace covey {

struct Number {
  bool is_float = false;
  int64_t integer = 0;   // unless is_float
  long double real = 0;  // of either

  static Number of(int64_t value) { return {false, value, static_cast<long double>(value)}; }
  static Number of_float(long double value) { return {true, 0, value}; }
};

// Digits with a minus before them at most, no zero in front: the one way that integers are written.
std::optional<int64_t> parse_integer(std::string_view text);
// An integer, or a finite float: digits, a point, an exponent.
std::optional<Number> parse_number(std::string_view text);
std::string text_of(const Number& number);

// A float if either is. nullopt: beyond 64 bits, or not finite.
std::optional<Number> add(const Number& a, const Number& b);

// Adds up in the order given. Integers beyond 64 bits end at the nearest one, floats at the largest.
class NumberSum {
 public:
  void add(const Number& number);
  Number total() const;

 private:
  __extension__ using Wide = __int128;
  bool is_float_ = false;
  Wide integers_ = 0;
  long double reals_ = 0;
};

}  // namespace covey
