// Lines of an import, read one by one from a stream: JSON objects, or the rows of a CSV file made into them.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/client.h"
#include "replication/result.h"

namespace covey::cli {

// The next record of an RFC 4180 file: fields split at commas; quoted fields may hold commas, line ends and
// doubled quotes. nullopt at the end of the file. The error is a sentence; the stream is then behind the bad
// record's line.
struct CsvRecord {
  std::vector<std::string> fields;
  std::vector<bool> quoted;  // of each field
  uint64_t lines = 0;        // that the record spans
};
Result<std::optional<CsvRecord>, std::string> read_csv_record(std::istream& in);

// A field as JSON: a number when it is spelled as JSON spells numbers and, if whole, fits 64 bits; nothing
// when it is empty and not quoted; otherwise a string. Quoted fields are strings.
std::optional<client::Json> csv_value(const std::string& field, bool quoted);

// What one record of an import asks for.
struct ImportRecord {
  uint64_t line = 0;  // the first line of the file that it comes from, from 1
  std::string key;
  std::vector<client::Version> versions;  // several: siblings, all to be kept
  std::string
      type;  // "counter", "set" or "hash": of the one version's value, as export tells it; empty: values
};

struct ImportProblem {
  uint64_t line = 0;
  std::string message;
  bool fatal = false;  // nothing after it can be read
};

enum class ImportFormat { jsonl, csv };

// Reads records of a file. key_field names the member or column that is the key (its text as it stands: the
// whole object is the value); without it a JSON line must be an export's line ({"key": ..., "value": ...} and
// its other spellings), and a CSV file must have a column "key".
class RecordReader {
 public:
  RecordReader(std::istream& in, ImportFormat format, std::optional<std::string> key_field);

  // nullopt at the end. Blank lines are skipped.
  Result<std::optional<ImportRecord>, ImportProblem> next();
  // Lines read so far.
  uint64_t line() const { return line_; }

 private:
  Result<std::optional<ImportRecord>, ImportProblem> next_json();
  Result<std::optional<ImportRecord>, ImportProblem> next_csv();
  std::optional<ImportProblem> read_header();

  std::istream& in_;
  ImportFormat format_;
  std::optional<std::string> key_field_;
  std::vector<std::string> columns_;
  size_t key_column_ = 0;
  uint64_t line_ = 0;
};

}  // namespace covey::cli
