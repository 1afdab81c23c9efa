// The little of the redis protocol that SET, GET and WAIT need, and covey's own COVEY.TABLE and COVEY.LEVEL.
#include <charconv>
#include <initializer_list>
#include <utility>

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

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  out.push_back('*');
  append_number(out, words.size());
  out.append("\r\n");
  for (const std::string_view word : words) append_bulk(out, word);
}

class Resp final : public Protocol {
 public:
  // The greeting has so many commands.
  explicit Resp(uint32_t wait_replicas, std::string greeting = {}, size_t greetings = 0)
      : wait_replicas_(wait_replicas), greeting_(std::move(greeting)), greetings_(greetings) {}

  void append_greeting(std::string& out) override { out.append(greeting_); }

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
    append_command(out, {"WAIT", std::to_string(wait_replicas_), "1000"});  // milliseconds
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
      answers.consumed += size;
      if (greetings_ > 0) {
        --greetings_;
      } else {
        ++answers.count;
      }
    }
  }

 private:
  uint32_t wait_replicas_;
  std::string greeting_;
  size_t greetings_;  // whose answers are still to come
};

}  // namespace

std::unique_ptr<Protocol> resp(uint32_t wait_replicas) { return std::make_unique<Resp>(wait_replicas); }

std::unique_ptr<Protocol> covey_resp(const std::string& table, uint32_t level) {
  std::string greeting;
  append_command(greeting, {"COVEY.TABLE", table});
  append_command(greeting, {"COVEY.LEVEL", "READ", std::to_string(level)});
  append_command(greeting, {"COVEY.LEVEL", "WRITE", std::to_string(level)});
  return std::make_unique<Resp>(0, std::move(greeting), 3);
}

}  // namespace covey::bench
