// The little of the redis protocol that SET, GET and WAIT need.
#include <charconv>

#include "tests/bench/protocol.h"

namespace covey::bench {
namespace {

void append_number(std::string& out, size_t number) {
  char digits[20];
  const char* end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

void append_bulk(std::string& out, std::string_view text) {
  out.push_back('$');
  append_number(out, text.size());
  out.append("\r\n").append(text).append("\r\n");
}

class Resp final : public Protocol {
 public:
  explicit Resp(uint32_t wait_replicas) : wait_replicas_(wait_replicas) {}

  void append_put(std::string& out, std::string_view key, std::string_view value) override {
    out.append("*3\r\n$3\r\nSET\r\n");
    append_bulk(out, key);
    append_bulk(out, value);
  }

  void append_get(std::string& out, std::string_view key) override {
    out.append("*2\r\n$3\r\nGET\r\n");
    append_bulk(out, key);
  }

  size_t append_end_of_batch(std::string& out) override {
    if (wait_replicas_ == 0) return 0;
    out.append("*3\r\n$4\r\nWAIT\r\n");
    append_bulk(out, std::to_string(wait_replicas_));
    append_bulk(out, "1000");  // milliseconds
    return 1;
  }

  Answers read(std::string_view in, std::string&) override {
    Answers answers;
    while (true) {
      const std::string_view left = in.substr(answers.consumed);
      const size_t end = left.find("\r\n");
      if (end == std::string_view::npos) return answers;
      int64_t number = -1;
      std::from_chars(left.data() + 1, left.data() + end, number);
      size_t size = end + 2;
      if (left[0] == '$' && number >= 0) size += static_cast<size_t>(number) + 2;
      if (left.size() < size) return answers;
      const bool short_wait = left[0] == ':' && number < static_cast<int64_t>(wait_replicas_);
      const bool absent = left[0] == '$' && number < 0;
      if (left[0] == '-' || short_wait || absent) {
        if (++answers.failed == 1) answers.failure = left.substr(0, end);
      }
      ++answers.count;
      answers.consumed += size;
    }
  }

 private:
  uint32_t wait_replicas_;
};

}  // namespace

std::unique_ptr<Protocol> resp(uint32_t wait_replicas) { return std::make_unique<Resp>(wait_replicas); }

}  // namespace covey::bench
