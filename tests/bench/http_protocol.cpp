// The little of HTTP/1.1 that a load generator needs: answers with a Content-Length, in order.
#include <strings.h>

#include <charconv>

#include "tests/bench/protocol.h"

namespace covey::bench {
namespace {

// 0 where there is none. `head` ends with an empty line.
size_t content_length(std::string_view head) {
  constexpr std::string_view name = "\r\ncontent-length:";
  for (size_t at = head.find("\r\n"); at + name.size() < head.size(); at = head.find("\r\n", at + 2)) {
    if (::strncasecmp(head.data() + at, name.data(), name.size()) != 0) continue;
    size_t begin = at + name.size();
    while (head[begin] == ' ') ++begin;
    size_t length = 0;
    std::from_chars(head.data() + begin, head.data() + head.size(), length);
    return length;
  }
  return 0;
}

class CoveyHttp final : public Protocol {
 public:
  CoveyHttp(const std::string& table, const std::string& query) : path_(" /v1/kv/" + table + "/") {
    rest_ = (query.empty() ? "" : "?" + query) + " HTTP/1.1\r\nHost: covey\r\n";
  }

  void append_put(std::string& out, std::string_view key, std::string_view value) override {
    out.append("PUT").append(path_).append(key).append(rest_).append("Content-Length: ");
    char digits[20];
    const char* end = std::to_chars(digits, digits + sizeof digits, value.size()).ptr;
    out.append(digits, static_cast<size_t>(end - digits)).append("\r\n\r\n").append(value);
  }

  void append_get(std::string& out, std::string_view key) override {
    out.append("GET").append(path_).append(key).append(rest_).append("\r\n");
  }

  Answers read(std::string_view in, std::string&) override {
    Answers answers;
    while (true) {
      const std::string_view left = in.substr(answers.consumed);
      const size_t end = left.find("\r\n\r\n");
      if (end == std::string_view::npos) return answers;
      const std::string_view head = left.substr(0, end + 4);
      const size_t size = head.size() + content_length(head);
      if (left.size() < size) return answers;
      if (!left.starts_with("HTTP/1.1 200")) {
        if (++answers.failed == 1) answers.failure = left.substr(0, std::min<size_t>(size, 600));
      }
      ++answers.count;
      answers.consumed += size;
    }
  }

 private:
  std::string path_;
  std::string rest_;
};

}  // namespace

std::unique_ptr<Protocol> covey_http(const std::string& table, const std::string& query) {
  return std::make_unique<CoveyHttp>(table, query);
}

}  // namespace covey::bench
