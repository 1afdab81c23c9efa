#include "client/cli/csv.h"

#include <algorithm>

#include "client/answers.h"
#include "client/encoding.h"
#include "client/raw_json.h"

namespace covey::cli {
namespace {

using client::Json;

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

bool blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

// A key out of an object's member: a string's text, a number as it is spelled.
std::optional<std::string> key_text(const Json& object, const std::string& field) {
  const auto found = object.find(field);
  if (found == object.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_number()) return found->dump();
  return std::nullopt;
}

// Eats the line feed after a carriage return or at a record's end.
void end_record(std::istream& in, char c) {
  if (c == '\r' && in.peek() == '\n') in.get();
}

}  // namespace

Result<std::optional<CsvRecord>, std::string> read_csv_record(std::istream& in) {
  CsvRecord record;
  std::string field;
  bool quoted = false, in_quotes = false, any = false;
  const auto end_field = [&] {
    record.fields.push_back(std::move(field));
    record.quoted.push_back(quoted);
    field.clear();
    quoted = false;
  };
  for (int next = in.get(); next != std::istream::traits_type::eof(); next = in.get()) {
    const char c = static_cast<char>(next);
    any = true;
    if (in_quotes) {
      if (c == '\n') ++record.lines;
      if (c != '"') {
        field += c;
      } else if (in.peek() == '"') {
        field += static_cast<char>(in.get());
      } else {
        in_quotes = false;
      }
    } else if (c == '"' && field.empty() && !quoted) {
      quoted = in_quotes = true;
    } else if (c == ',') {
      end_field();
    } else if (c == '\n' || c == '\r') {
      end_record(in, c);
      end_field();
      ++record.lines;
      return std::optional(std::move(record));
    } else if (quoted) {
      std::string rest;
      std::getline(in, rest);
      return std::string("a quoted field must end before the next comma");
    } else {
      field += c;
    }
  }
  if (in_quotes) return std::string("the file ends inside a quoted field");
  if (!any) return std::optional<CsvRecord>();
  end_field();
  ++record.lines;
  return std::optional(std::move(record));
}

std::optional<Json> csv_value(const std::string& field, bool quoted) {
  if (field.empty() && !quoted) return std::nullopt;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool number_like = !quoted && (field[0] == '-' || digit(field[0])) && digit(field.back());
  if (!number_like) return Json(field);
  Json number = Json::parse(field, nullptr, false);
  if (!number.is_number()) return Json(field);
  // More digits than an integer holds would lose the last ones as a floating-point number.
  const bool whole = field.find_first_of(".eE") == std::string::npos;
  if (whole && number.is_number_float()) return Json(field);
  return number;
}

RecordReader::RecordReader(std::istream& in, ImportFormat format, std::optional<std::string> key_field)
    : in_(in), format_(format), key_field_(std::move(key_field)) {
  if (in_.peek() == std::istream::traits_type::to_int_type(byte_order_mark.front())) {
    std::string mark(byte_order_mark.size(), '\0');
    in_.read(mark.data(), static_cast<std::streamsize>(mark.size()));
  }
}

Result<std::optional<ImportRecord>, ImportProblem> RecordReader::next() {
  return format_ == ImportFormat::csv ? next_csv() : next_json();
}

Result<std::optional<ImportRecord>, ImportProblem> RecordReader::next_json() {
  std::string text;
  do {
    if (!std::getline(in_, text)) return std::optional<ImportRecord>();
    ++line_;
  } while (blank(text));
  Json object;
  try {
    object = client::parse_json(text);
  } catch (const Json::parse_error&) {
    return ImportProblem{line_, "not a JSON object"};
  }
  if (!object.is_object()) return ImportProblem{line_, "not a JSON object"};
  ImportRecord record{.line = line_};
  if (key_field_) {
    auto key = key_text(object, *key_field_);
    if (!key) return ImportProblem{line_, "no string or number \"" + *key_field_ + "\" for the key"};
    record.key = std::move(*key);
    const size_t first = text.find_first_not_of(" \t");
    const size_t last = text.find_last_not_of(" \t\r");
    record.versions.push_back({text.substr(first, last - first + 1), "application/json", "", ""});
    return std::optional(std::move(record));
  }
  try {
    record.key = client::key_from(object);
    record.versions = client::versions_from(object, text);
    record.type = object.value("type", "");
    const bool known =
        record.type.empty() || record.type == "counter" || record.type == "set" || record.type == "hash";
    if (!known || (!record.type.empty() && record.versions.size() != 1)) {
      return ImportProblem{line_, R"("type" must be "counter", "set" or "hash", with one "value")"};
    }
    if (record.versions.empty()) throw Json::other_error::create(501, "no value", &object);
  } catch (const Json::exception&) {
    return ImportProblem{line_,
                         R"(needs "key" and "value", "value_base64" or "siblings"; or say --key FIELD)"};
  }
  return std::optional(std::move(record));
}

std::optional<ImportProblem> RecordReader::read_header() {
  auto header = read_csv_record(in_);
  if (!header) return ImportProblem{1, header.error(), true};
  if (!*header) return std::nullopt;
  line_ += (*header)->lines;
  columns_ = (*header)->fields;
  const std::string wanted = key_field_.value_or("key");
  const auto found = std::find(columns_.begin(), columns_.end(), wanted);
  if (found == columns_.end()) {
    return ImportProblem{1, "the header has no column \"" + wanted + "\" for the key; name one with --key",
                         true};
  }
  key_column_ = static_cast<size_t>(found - columns_.begin());
  return std::nullopt;
}

Result<std::optional<ImportRecord>, ImportProblem> RecordReader::next_csv() {
  if (columns_.empty()) {
    if (auto problem = read_header()) return *problem;
    if (columns_.empty()) return std::optional<ImportRecord>();
  }
  for (;;) {
    const uint64_t line = line_ + 1;
    auto read = read_csv_record(in_);
    if (!read) {
      ++line_;
      return ImportProblem{line, read.error(), !in_.good()};
    }
    if (!*read) return std::optional<ImportRecord>();
    const CsvRecord& record = **read;
    line_ += record.lines;
    if (record.fields.size() == 1 && record.fields[0].empty() && !record.quoted[0]) continue;
    if (record.fields.size() != columns_.size()) {
      return ImportProblem{line, std::to_string(record.fields.size()) + " fields where the header has " +
                                     std::to_string(columns_.size())};
    }
    Json object = Json::object();
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (!client::valid_utf8(record.fields[i]))
        return ImportProblem{line, "column " + columns_[i] + " is not UTF-8"};
      if (auto value = csv_value(record.fields[i], record.quoted[i])) object[columns_[i]] = std::move(*value);
    }
    ImportRecord out{.line = line, .key = record.fields[key_column_]};
    out.versions.push_back({object.dump(), "application/json", "", ""});
    return std::optional(std::move(out));
  }
}

}  // namespace covey::cli
