#include "replication/context_token.h"

#include "replication/base64.h"
#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/hash.h"

namespace covey {
namespace {

constexpr uint8_t token_format = 1;
constexpr size_t tag_bytes = 8;
constexpr size_t body_bytes_max = token_bytes_max / 4 * 3 - tag_bytes - 1;  // of a dot set, before base64

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

std::string encoded_within(const Context& context, size_t bytes_max, const std::function<DotSet()>& needed) {
  std::string whole = encode(context);
  if (whole.size() <= bytes_max) return whole;
  const DotSet kept = needed();
  const auto& entries = context.entries();
  for (size_t others = entries.size();; others /= 2) {
    Context cut = kept;
    for (size_t i = 0; i < others; ++i)
      if (entries[i].base > 0) cut.add(entries[i].actor, {1, entries[i].base});
    std::string bytes = encode(cut);
    if (bytes.size() <= bytes_max) return bytes;
    if (others == 0) return encode(Context{});  // more siblings than any key may gather: covers nothing
  }
}

}  // namespace

TokenKey token_key(std::string_view secret) {
  return {hash_bytes(secret, 0x746f6b656e31), hash_bytes(secret, 0x746f6b656e32)};
}

std::string seal_context(const TokenKey& secret, std::string_view table, std::string_view key,
                         const Context& context, const std::function<DotSet()>& needed) {
  std::string body;
  Writer out(body);
  out.u8(token_format);
  out.raw(encoded_within(context, body_bytes_max, needed));
  uint64_t tag = tag_of(secret, table, key, body);
  out.u64(tag);
  return base64_encode(body, Base64::url);
}

std::optional<Context> open_context(const TokenKey& secret, std::string_view table, std::string_view key,
                                    std::string_view token) {
  if (token.size() > token_bytes_max) return std::nullopt;
  auto bytes = base64_decode(token, Base64::url);
  if (!bytes || bytes->size() < tag_bytes + 1) return std::nullopt;
  std::string_view body = std::string_view(*bytes).substr(0, bytes->size() - tag_bytes);
  Reader tag(std::string_view(*bytes).substr(body.size()));
  if (tag.u64() != tag_of(secret, table, key, body)) return std::nullopt;
  Reader in(body);
  if (in.u8() != token_format) return std::nullopt;
  return decode_dot_set(in.rest());
}

}  // namespace covey
