#include "client/cli/agg_words.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace covey::cli {
namespace {

struct Fault {
  std::string message;
};

// Names, numbers, text in quotes, and signs.
struct Token {
  enum class Kind { word, text, sign, end } kind = Kind::end;
  std::string text;
  size_t begin = 0;
  size_t end = 0;
};

bool is_sign(char c) { return std::string_view("(),=<>!").find(c) != std::string_view::npos; }

std::vector<Token> tokens_of(std::string_view words) {
  std::vector<Token> out;
  for (size_t i = 0; i < words.size();) {
    const char c = words[i];
    if (c == ' ' || c == '\t' || c == '\n') {
      ++i;
      continue;
    }
    size_t end = i + 1;
    if (c == '\'' || c == '"') {
      end = words.find(c, i + 1);
      if (end == std::string_view::npos) throw Fault{"a quote is not closed"};
      out.push_back({Token::Kind::text, std::string(words.substr(i + 1, end - i - 1)), i, end + 1});
      i = end + 1;
      continue;
    }
    if (is_sign(c)) {
      if (end < words.size() && words[end] == '=' && (c == '<' || c == '>' || c == '!')) ++end;
      out.push_back({Token::Kind::sign, std::string(words.substr(i, end - i)), i, end});
    } else {
      while (end < words.size() && !is_sign(words[end]) &&
             std::string_view(" \t\n'\"").find(words[end]) == std::string_view::npos)
        ++end;
      out.push_back({Token::Kind::word, std::string(words.substr(i, end - i)), i, end});
    }
    i = end;
  }
  out.push_back({Token::Kind::end, "", words.size(), words.size()});
  return out;
}

std::optional<Json> number_of(const std::string& text) {
  Json number = Json::parse(text, nullptr, false);
  if (number.is_discarded() || !number.is_number()) return std::nullopt;
  return number;
}

class Words {
 public:
  explicit Words(std::string_view text) : text_(text), tokens_(tokens_of(text)) {}

  const Token& next() const { return tokens_[at_]; }
  bool ended() const { return next().kind == Token::Kind::end; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool skip(std::string_view word) {
    const bool there = next().kind != Token::Kind::text && next().text == word;
    if (there) take();
    return there;
  }
  std::string name(const char* what) {
    if (next().kind != Token::Kind::word && next().kind != Token::Kind::text) fail(what);
    return take().text;
  }
  void expect(std::string_view sign, const char* what) {
    if (!skip(sign)) fail(what);
  }
  Json value() {
    const Token token = next();
    if (token.kind == Token::Kind::text) return take().text;
    if (token.kind != Token::Kind::word) fail("a number, a word or text in quotes");
    take();
    auto number = number_of(token.text);
    return number ? *number : Json(token.text);
  }
  Json number(const char* what) {
    auto out = next().kind == Token::Kind::word ? number_of(next().text) : std::nullopt;
    if (!out) fail(what);
    take();
    return *out;
  }
  // The text from a token's begin to the end of the last one taken.
  std::string since(const Token& first) const {
    return std::string(text_.substr(first.begin, tokens_[at_ - 1].end - first.begin));
  }
  [[noreturn]] void fail(const std::string& wanted) const {
    throw Fault{"\"" + std::string(text_) + "\": " + (ended() ? "at its end" : "at \"" + next().text + "\"") +
                " there must be " + wanted};
  }

 private:
  std::string_view text_;
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

constexpr std::string_view operators =
    "one of count, sum, avg, min, max, var, stddev, median, quantile, distinct, histogram, first, last";

Json numbers(Words& words, const char* what) {
  Json list = Json::array();
  while (words.skip(",")) list.push_back(words.number(what));
  return list;
}

Json aggregate(Words& words, AggWordsOptions options) {
  static const std::vector<std::string> plain = {"count", "sum",    "avg",   "min",  "max",
                                                 "var",   "stddev", "first", "last", "distinct"};
  const std::string kind = words.next().text;
  const bool known = std::find(plain.begin(), plain.end(), kind) != plain.end() || kind == "median" ||
                     kind == "quantile" || kind == "histogram";
  if (!known) words.fail(std::string(operators));
  words.take();
  if (kind == "count" && words.next().text != "(") return {{"count", "*"}};
  words.expect("(", "( and a column");
  const std::string column = words.name("a column");
  Json out;
  if (kind == "median" || kind == "quantile") {
    out["quantile"] = column;
    out["q"] = kind == "median" ? Json(0.5) : numbers(words, "a number from 0 to 1");
    if (out["q"].empty()) words.fail(", and a number from 0 to 1");
    if (options.exact_quantiles) out["mode"] = "exact";
  } else if (kind == "histogram") {
    out["histogram"] = column;
    out["edges"] = numbers(words, "an edge: a number");
  } else {
    out[kind] = column;
    if ((kind == "var" || kind == "stddev") && words.skip(",")) out["ddof"] = words.number("a whole number");
  }
  words.expect(")", ") or a comma");
  return out;
}

Json condition(Words& words) {
  const std::string column = words.name("a column");
  Json out = {{"column", column}};
  if (words.skip("is")) {
    const bool negated = words.skip("not");
    words.expect("null", "null, or not null");
    out["op"] = negated ? "not_null" : "is_null";
  } else if (words.skip("in")) {
    words.expect("(", "( and values");
    out["op"] = "in";
    out["value"] = Json::array();
    do out["value"].push_back(words.value());
    while (words.skip(","));
    words.expect(")", ") or a comma");
  } else if (words.skip("between")) {
    Json low = words.value();
    words.expect("and", "and");
    out["op"] = "between";
    out["value"] = {std::move(low), words.value()};
  } else {
    static const std::vector<std::string> signs = {"=", "!=", "<", "<=", ">", ">="};
    if (std::find(signs.begin(), signs.end(), words.next().text) == signs.end())
      words.fail("= != < <= > >= in, between or is");
    out["op"] = words.take().text;
    out["value"] = words.value();
  }
  return out;
}

}  // namespace

Result<Json, std::string> aggregates_from(std::string_view text, AggWordsOptions options) {
  try {
    Words words(text);
    Json out = Json::object();
    do {
      const Token first = words.next();
      Json one = aggregate(words, options);
      out[words.since(first)] = std::move(one);
    } while (words.skip(","));
    if (!words.ended()) words.fail("a comma or the end");
    return out;
  } catch (const Fault& fault) {
    return fault.message;
  }
}

Result<Json, std::string> conditions_from(std::string_view text) {
  try {
    Words words(text);
    Json out = Json::array();
    do out.push_back(condition(words));
    while (words.skip("and"));
    if (!words.ended()) words.fail("and, or the end");
    return out;
  } catch (const Fault& fault) {
    return fault.message;
  }
}

}  // namespace covey::cli
