#include "storage/log_check.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <string_view>

#include "storage/crc32c.h"

namespace covey {

namespace {

// The format of RocksDB's logs (its own header db/log_format.h): blocks of 32 KiB, in them fragments with a
// checksum of four bytes, a length of two and a type of one. A block's last bytes stay empty when no header
// fits.
constexpr uint64_t block_size = 32768;
constexpr uint64_t header_size = 7;
constexpr uint8_t highest_type = 4;  // full, first, middle, last; the others need options that we do not use

struct Header {
  uint32_t masked_crc;
  uint16_t length;
  uint8_t type;
};

Header parse_header(const char* at) {
  const auto byte = [at](int i) { return static_cast<uint32_t>(static_cast<uint8_t>(at[i])); };
  return {byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24,
          static_cast<uint16_t>(byte(4) | byte(5) << 8), static_cast<uint8_t>(byte(6))};
}

uint32_t unmask(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

// Where the fragment that begins at or after `position` begins.
uint64_t skip_filler(uint64_t position) {
  const uint64_t left = block_size - position % block_size;
  return left < header_size ? position + left : position;
}

// Goes through a log's fragments and stops at the first that is not whole.
struct Scan {
  uint64_t good_bytes = 0;  // the end of the last whole fragment
  uint64_t file_bytes = 0;
  std::string wrong;  // what is wrong at good_bytes; empty: nothing
  bool read_failed = false;
};

std::string judge_fragment(std::string_view block, uint64_t in_block, uint64_t& end_in_block) {
  if (in_block + header_size > block.size()) return "the file ends within a record's header";
  const Header header = parse_header(block.data() + in_block);
  if (header.type == 0 || header.type > highest_type)
    return "no record has the type " + std::to_string(header.type);
  end_in_block = in_block + header_size + header.length;
  if (end_in_block > block_size) return "a record is longer than its block";
  if (end_in_block > block.size()) return "the file ends within a record";
  const auto covered = block.substr(in_block + header_size - 1, header.length + size_t{1});
  if (crc32c(covered) != unmask(header.masked_crc)) return "a record does not have its checksum";
  return {};
}

Scan scan_log(rocksdb::Env& env, const std::string& path) {
  Scan scan;
  std::unique_ptr<rocksdb::SequentialFile> file;
  auto status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
  std::string buffer(block_size, '\0');
  while (status.ok()) {
    rocksdb::Slice block;
    status = file->Read(block_size, &block, buffer.data());
    if (!status.ok() || block.empty()) break;
    uint64_t in_block = 0;
    const uint64_t block_start = scan.file_bytes;
    scan.file_bytes += block.size();
    while (scan.wrong.empty() && in_block < block.size() && block_size - in_block >= header_size) {
      uint64_t end = 0;
      scan.wrong = judge_fragment({block.data(), block.size()}, in_block, end);
      if (!scan.wrong.empty()) break;
      in_block = end;
      scan.good_bytes = block_start + end;
    }
  }
  if (!status.ok()) {
    scan.read_failed = true;
    scan.wrong = status.ToString();
  }
  return scan;
}

std::string place(const std::string& name, uint64_t position) {
  return name + " at byte " + std::to_string(position);
}

StoreError damaged(const std::string& what) { return {StoreError::Kind::corruption, what}; }

void check_log(rocksdb::Env& env, const std::string& directory, uint64_t number, LogPosition synced,
               LogCheck& check) {
  const std::string name = log_file_name(number);
  const Scan scan = scan_log(env, directory + "/" + name);
  if (scan.read_failed) {
    check.damage = StoreError{StoreError::Kind::io, name + " cannot be read: " + scan.wrong};
  } else if (number < synced.log && !scan.wrong.empty()) {
    check.damage = damaged(place(name, scan.good_bytes) + " is damaged (" + scan.wrong +
                           "); all of this log had been synced");
  } else if (number == synced.log && scan.good_bytes < synced.bytes) {
    const std::string wrong = scan.wrong.empty() ? "the file ends" : scan.wrong;
    check.damage = damaged(place(name, scan.good_bytes) + " is damaged (" + wrong +
                           "); it had been synced up to byte " + std::to_string(synced.bytes));
  } else if (!scan.wrong.empty()) {
    check.notes.push_back(place(name, scan.good_bytes) + ": " + scan.wrong + "; the " +
                          std::to_string(scan.file_bytes - scan.good_bytes) +
                          " bytes from there on had not been synced and are dropped");
  }
}

}  // namespace

std::string log_file_name(uint64_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 6) digits.insert(0, 6 - digits.size(), '0');
  return digits + ".log";
}

std::vector<uint64_t> log_numbers(const std::vector<std::string>& file_names) {
  std::vector<uint64_t> numbers;
  for (const auto& name : file_names) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && std::string_view(end) == ".log") numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

LogCheck check_logs(rocksdb::Env& env, const std::string& directory, LogPosition synced) {
  LogCheck check;
  std::vector<std::string> names;
  const auto status = env.GetChildren(directory, &names);
  if (!status.ok()) {
    check.damage = StoreError{StoreError::Kind::io, directory + ": " + status.ToString()};
    return check;
  }
  const auto logs = log_numbers(names);
  // A log disappears when its contents are in tables, and never before the next one has begun.
  if (synced.log > 0 && (logs.empty() || logs.back() < synced.log)) {
    check.damage = damaged("the log with number " + std::to_string(synced.log) + " is missing");
    return check;
  }
  for (const uint64_t number : logs) {
    check_log(env, directory, number, synced, check);
    if (check.damage) return check;
  }
  return check;
}

std::optional<StoreError> check_manifest(rocksdb::Env& env, const std::string& directory,
                                         LogPosition synced) {
  std::string current;
  const auto status = rocksdb::ReadFileToString(&env, directory + "/CURRENT", &current);
  if (!status.ok()) return StoreError{StoreError::Kind::io, "CURRENT cannot be read: " + status.ToString()};
  constexpr std::string_view prefix = "MANIFEST-";
  if (!current.starts_with(prefix) || !current.ends_with('\n')) return damaged("CURRENT is damaged");
  const std::string name = current.substr(0, current.size() - 1);
  if (!env.FileExists(directory + "/" + name).ok()) return damaged(name + " is missing, which CURRENT names");

  const Scan scan = scan_log(env, directory + "/" + name);
  if (scan.read_failed) return StoreError{StoreError::Kind::io, name + " cannot be read: " + scan.wrong};
  // A manifest with a higher number has been synced and CURRENT not yet turned to it: then all of this one
  // counts.
  const bool is_marked = std::strtoull(name.c_str() + prefix.size(), nullptr, 10) == synced.log;
  const bool is_short = is_marked ? scan.good_bytes < synced.bytes : !scan.wrong.empty();
  if (!is_short) return std::nullopt;
  return damaged(place(name, scan.good_bytes) + " is damaged (" +
                 (scan.wrong.empty() ? "the file ends" : scan.wrong) + ")");
}

std::optional<uint64_t> last_fragment_end(rocksdb::Env& env, const std::string& path, uint64_t from,
                                          uint64_t limit) {
  std::unique_ptr<rocksdb::RandomAccessFile> file;
  if (!env.NewRandomAccessFile(path, &file, rocksdb::EnvOptions()).ok()) return std::nullopt;
  std::string buffer(block_size, '\0');
  uint64_t end = from;
  uint64_t window_start = 0;  // the part of the file that `window` holds
  rocksdb::Slice window;
  for (;;) {
    const uint64_t start = skip_filler(end);
    if (start + header_size > limit) return end;
    if (start < window_start || start + header_size > window_start + window.size()) {
      const uint64_t wanted = std::min(limit - start, block_size - start % block_size);
      if (!file->Read(start, wanted, &window, buffer.data()).ok() || window.size() < header_size)
        return std::nullopt;
      window_start = start;
    }
    const uint64_t next = start + header_size + parse_header(window.data() + (start - window_start)).length;
    if (next > limit) return end;
    end = next;
  }
}

}  // namespace covey
