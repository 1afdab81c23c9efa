#include "replication/number.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "replication/result.h"

namespace covey {
namespace {

constexpr long double real_max = std::numeric_limits<long double>::max();
bool finite(long double value) { return value >= -real_max && value <= real_max; }

}  // namespace

std::optional<int64_t> parse_integer(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || (digits[0] == '0' && text.size() > 1)) return std::nullopt;
  int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

std::optional<Number> parse_number(std::string_view text) {
  if (auto integer = parse_integer(text)) return Number::of(*integer);
  std::string_view digits = text;
  if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);
  long double real = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), real);
  if (error != std::errc{} || end != digits.data() + digits.size() || !finite(real)) return std::nullopt;
  return Number::of_float(real);
}

std::string text_of(const Number& number) {
  if (!number.is_float) return std::to_string(number.integer);
  constexpr int decimals = 17;
  std::array<char, std::numeric_limits<long double>::max_exponent10 + decimals + 8> buffer;
  auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number.real,
                                    std::chars_format::fixed, decimals);
  COVEY_ASSERT(error == std::errc{});
  std::string_view text(buffer.data(), static_cast<size_t>(end - buffer.data()));
  text = text.substr(0, text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.remove_suffix(1);
  return text == "-0" ? "0" : std::string(text);
}

std::optional<Number> add(const Number& a, const Number& b) {
  if (!a.is_float && !b.is_float) {
    int64_t sum = 0;
    if (__builtin_add_overflow(a.integer, b.integer, &sum)) return std::nullopt;
    return Number::of(sum);
  }
  const long double sum = a.real + b.real;
  if (!finite(sum)) return std::nullopt;
  return Number::of_float(sum);
}

void NumberSum::add(const Number& number) {
  is_float_ = is_float_ || number.is_float;
  integers_ += number.is_float ? 0 : number.integer;
  reals_ = std::clamp(reals_ + number.real, -real_max, real_max);
}

Number NumberSum::total() const {
  if (is_float_) return Number::of_float(reals_);
  constexpr Wide least = std::numeric_limits<int64_t>::min();
  constexpr Wide most = std::numeric_limits<int64_t>::max();
  return Number::of(static_cast<int64_t>(std::clamp(integers_, least, most)));
}

}  // namespace covey
