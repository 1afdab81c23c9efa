#include "replication/context_token.h"

#include <array>

#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/hash.h"

namespace covey {
namespace {

constexpr uint8_t token_format = 1;
constexpr size_t token_bytes_max = 48 * 1024;
constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

uint64_t tag_of(const TokenKey& secret, std::string_view table, std::string_view key, std::string_view body) {
  std::string bound;
  Writer out(bound);
  if (!bug(Bug::context_without_key)) {
    out.bytes(table);
    out.bytes(key);
  }
  out.raw(body);
  return keyed_tag(secret.first, secret.second, bound);
}

}  // namespace

TokenKey token_key(std::string_view secret) {
  return {hash_bytes(secret, 0x746f6b656e31), hash_bytes(secret, 0x746f6b656e32)};
}

std::string seal_context(const TokenKey& secret, std::string_view table, std::string_view key,
                         const Context& context) {
  std::string body;
  Writer out(body);
  out.u8(token_format);
  encode(out, context);
  uint64_t tag = tag_of(secret, table, key, body);
  out.u64(tag);
  return base64url_encode(body);
}

std::optional<Context> open_context(const TokenKey& secret, std::string_view table, std::string_view key,
                                    std::string_view token) {
  if (token.size() > token_bytes_max) return std::nullopt;
  auto bytes = base64url_decode(token);
  if (!bytes || bytes->size() < 9) return std::nullopt;
  std::string_view body = std::string_view(*bytes).substr(0, bytes->size() - 8);
  Reader tag(std::string_view(*bytes).substr(body.size()));
  if (tag.u64() != tag_of(secret, table, key, body)) return std::nullopt;
  Reader in(body);
  if (in.u8() != token_format) return std::nullopt;
  return decode_dot_set(in.rest());
}

std::string base64url_encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
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
  return out;
}

std::optional<std::string> base64url_decode(std::string_view text) {
  static const std::array<int8_t, 256> values = [] {
    std::array<int8_t, 256> table{};
    table.fill(-1);
    for (size_t i = 0; i < alphabet.size(); ++i)
      table[static_cast<uint8_t>(alphabet[i])] = static_cast<int8_t>(i);
    return table;
  }();
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int held = 0;
  for (char c : text) {
    int8_t value = values[static_cast<uint8_t>(c)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<char>(bits >> held & 0xff));
    }
  }
  // What is left are padding bits: fewer than six, all zero. So each token has one spelling.
  if (held >= 6 || (bits & ((1u << held) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace covey
