#include "replication/context_token.h"

#include "replication/base64.h"
#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/hash.h"

namespace covey {
namespace {

constexpr uint8_t token_format = 1;
constexpr size_t token_bytes_max = 48 * 1024;

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
  return base64_encode(body, Base64::url);
}

std::optional<Context> open_context(const TokenKey& secret, std::string_view table, std::string_view key,
                                    std::string_view token) {
  if (token.size() > token_bytes_max) return std::nullopt;
  auto bytes = base64_decode(token, Base64::url);
  if (!bytes || bytes->size() < 9) return std::nullopt;
  std::string_view body = std::string_view(*bytes).substr(0, bytes->size() - 8);
  Reader tag(std::string_view(*bytes).substr(body.size()));
  if (tag.u64() != tag_of(secret, table, key, body)) return std::nullopt;
  Reader in(body);
  if (in.u8() != token_format) return std::nullopt;
  return decode_dot_set(in.rest());
}

}  // namespace covey
