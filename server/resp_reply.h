// Writes one answer of the Redis protocol, as the connection's version of it has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace covey::server {

class RespReply {
 public:
  explicit RespReply(int protocol) : protocol_(protocol) {}  // 2 or 3

  void simple(std::string_view text);  // REQUIRES: without line ends
  void ok() { simple("OK"); }
  // Begins with a word in capitals ("ERR ..."). Line ends become spaces, but for those at its end. What was
  // written so far is dropped.
  void error(std::string_view text);
  void integer(int64_t number);
  void bulk(std::string_view bytes);
  void bulk_or_null(const std::optional<std::string>& bytes);
  void text(std::string_view text);  // for people: verbatim in version 3, else bulk
  void null();
  void null_array();
  void array(size_t count);  // its elements follow
  void set(size_t count);    // likewise; in version 2 an array
  void map(size_t count);    // keys and values follow; in version 2 an array of both

  int protocol() const { return protocol_; }
  bool failed() const { return failed_; }
  size_t size() const { return out_.size(); }
  std::string take() { return std::move(out_); }

 private:
  void head(char kind, int64_t number);

  int protocol_;
  bool failed_ = false;
  std::string out_;
};

}  // namespace covey::server
