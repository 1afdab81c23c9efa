#include "server/resp_reply.h"

#include <algorithm>
#include <charconv>

namespace covey::server {

void RespReply::head(char kind, int64_t number) {
  char digits[24];
  const char* end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out_.push_back(kind);
  out_.append(digits, static_cast<size_t>(end - digits)).append("\r\n");
}

void RespReply::simple(std::string_view text) {
  out_.push_back('+');
  out_.append(text).append("\r\n");
}

void RespReply::error(std::string_view text) {
  failed_ = true;
  out_ = "-";
  out_.append(text.substr(0, text.find_last_not_of("\r\n") + 1));
  std::replace_if(
      out_.begin(), out_.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  out_.append("\r\n");
}

void RespReply::integer(int64_t number) { head(':', number); }

void RespReply::bulk(std::string_view bytes) {
  head('$', static_cast<int64_t>(bytes.size()));
  out_.append(bytes).append("\r\n");
}

void RespReply::bulk_or_null(const std::optional<std::string>& bytes) {
  if (bytes) return bulk(*bytes);
  null();
}

void RespReply::text(std::string_view text) {
  if (protocol_ < 3) return bulk(text);
  head('=', static_cast<int64_t>(text.size() + 4));
  out_.append("txt:").append(text).append("\r\n");
}

void RespReply::null() { out_.append(protocol_ < 3 ? "$-1\r\n" : "_\r\n"); }

void RespReply::null_array() { out_.append(protocol_ < 3 ? "*-1\r\n" : "_\r\n"); }

void RespReply::array(size_t count) { head('*', static_cast<int64_t>(count)); }

void RespReply::set(size_t count) { head(protocol_ < 3 ? '*' : '~', static_cast<int64_t>(count)); }

void RespReply::map(size_t count) {
  if (protocol_ < 3) return array(2 * count);
  head('%', static_cast<int64_t>(count));
}

}  // namespace covey::server
