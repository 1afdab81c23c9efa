#include "server/resp_arguments.h"

#include <algorithm>
#include <array>
#include <utility>

#include "replication/result.h"
#include "server/resp_commands.h"

namespace covey::server {
namespace {

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }

std::string_view type_of_name(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 10> types = {{
      {"key", "key"},
      {"pattern", "pattern"},
      {"seconds", "integer"},
      {"milliseconds", "integer"},
      {"count", "integer"},
      {"cursor", "integer"},
      {"increment", "integer"},
      {"decrement", "integer"},
      {"index", "integer"},
      {"number", "integer"},
  }};
  for (const auto& [known, type] : types) {
    if (known == name) return type;
  }
  return name.starts_with("unix-time") ? "unix-time" : "string";
}

class ArgumentReader {
 public:
  explicit ArgumentReader(std::string_view text) : rest_(text) {}

  std::vector<RespArgument> all() {
    auto out = list();
    COVEY_ASSERT(rest_.empty());
    return out;
  }

 private:
  char next() const { return rest_.empty() ? '\0' : rest_.front(); }

  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }

  // Up to what parts arguments.
  std::string_view word() {
    const size_t end = std::min({rest_.find_first_of(" |[]()="), rest_.find("..."), rest_.size()});
    const std::string_view out = rest_.substr(0, end);
    COVEY_ASSERT(!out.empty());
    rest_.remove_prefix(end);
    return out;
  }

  // Until the end, or a bracket or a choice that is not begun within.
  std::vector<RespArgument> list() {
    std::vector<RespArgument> out;
    for (;;) {
      while (take(" ")) continue;
      if (next() == '\0' || next() == '|' || next() == ']' || next() == ')') return out;
      out.push_back(item());
    }
  }

  RespArgument item() {
    RespArgument out;
    if (take("[")) {
      out = bracketed("]");
      out.optional = true;
    } else if (take("(")) {
      out = bracketed(")");
    } else {
      out = plain();
    }
    out.multiple = take("...") || out.multiple;
    return out;
  }

  RespArgument plain() {
    const std::string_view text = word();
    if (!is_upper(text.front())) return {std::string(text.substr(0, text.find(':'))), {}, type_named(text)};
    if (rest_.size() >= 2 && rest_[0] == ' ' && (is_lower(rest_[1]) || rest_[1] == '(')) {
      take(" ");
      RespArgument out = item();
      out.token = text;
      return out;
    }
    return {lower_case(text), std::string(text), "pure-token"};
  }

  static std::string_view type_named(std::string_view text) {
    const size_t colon = text.find(':');
    return colon == std::string_view::npos ? type_of_name(text) : text.substr(colon + 1);
  }

  RespArgument bracketed(std::string_view close) {
    std::string name;
    const size_t equal = rest_.find('=');
    if (equal < rest_.find_first_of(" |[]()")) {
      name = word();
      take("=");
    }
    std::vector<RespArgument> choice;
    do {
      auto alternative = list();
      COVEY_ASSERT(!alternative.empty());
      choice.push_back(alternative.size() == 1 ? std::move(alternative.front())
                                               : RespArgument{name, {}, "block", {}, {}, alternative});
    } while (take("|"));
    COVEY_ASSERT(take(close));
    if (choice.size() == 1) return std::move(choice.front());
    return {name, {}, "oneof", {}, {}, std::move(choice)};
  }

  std::string_view rest_;
};

}  // namespace

std::vector<RespArgument> parse_arguments(std::string_view text) { return ArgumentReader(text).all(); }

}  // namespace covey::server
