// Bytes as text, RFC 4648.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace covey {

enum class Base64 : uint8_t {
  standard,  // "+/", padded with '='; read also without padding
  url        // "-_", never padded: for headers and queries
};

namespace base64_detail {

inline constexpr std::string_view standard_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
inline constexpr std::string_view url_alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<int8_t, 256> digits_of(std::string_view alphabet) {
  std::array<int8_t, 256> digits{};
  for (auto& digit : digits) digit = -1;
  for (size_t i = 0; i < alphabet.size(); ++i) {
    digits[static_cast<uint8_t>(alphabet[i])] = static_cast<int8_t>(i);
  }
  return digits;
}

inline constexpr std::array<int8_t, 256> standard_digits = digits_of(standard_alphabet);
inline constexpr std::array<int8_t, 256> url_digits = digits_of(url_alphabet);

}  // namespace base64_detail

inline std::string base64_encode(std::string_view bytes, Base64 form = Base64::standard) {
  std::string_view alphabet =
      form == Base64::standard ? base64_detail::standard_alphabet : base64_detail::url_alphabet;
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  uint32_t bits = 0;
  int held = 0;
  for (char c : bytes) {
    bits = bits << 8 | static_cast<uint8_t>(c);
    held += 8;
    while (held >= 6) {
      held -= 6;
      out.push_back(alphabet[bits >> held & 63]);
    }
  }
  if (held > 0) out.push_back(alphabet[bits << (6 - held) & 63]);
  while (form == Base64::standard && out.size() % 4 != 0) out.push_back('=');
  return out;
}

// nullopt: not base64 of this form. But for the padding, bytes have one spelling only: the bits that are left
// over must be zero.
inline std::optional<std::string> base64_decode(std::string_view text, Base64 form = Base64::standard) {
  bool standard = form == Base64::standard;
  const auto& digits = standard ? base64_detail::standard_digits : base64_detail::url_digits;
  if (standard && text.size() % 4 == 0) {
    for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i) text.remove_suffix(1);
  }
  std::string out;
  out.reserve(text.size() / 4 * 3 + 2);
  uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    int8_t digit = digits[static_cast<uint8_t>(c)];
    if (digit < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<char>(bits >> held & 0xff));
    }
  }
  if (held >= 6 || (bits & ((1u << held) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace covey
