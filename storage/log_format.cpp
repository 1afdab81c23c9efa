#include "storage/log_format.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "storage/crc32c.h"

namespace covey {

namespace {

constexpr uint64_t header_size = 7;
constexpr size_t batch_header_size = 12;

// The other types need options that we do not use. Zero is what a file holds where nothing was written.
enum FragmentType : uint8_t { full = 1, first = 2, middle = 3, last = 4 };

struct Header {
  uint32_t masked_crc;
  uint16_t length;
  uint8_t type;
};

uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
  return value;
}

Header parse_header(std::string_view at) {
  return {static_cast<uint32_t>(little_endian(at.substr(0, 4))),
          static_cast<uint16_t>(little_endian(at.substr(4, 2))), static_cast<uint8_t>(at[6])};
}

uint32_t unmask(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

// Where the fragment that begins at or after `position` begins.
uint64_t skip_filler(uint64_t position) {
  const uint64_t left = log_block_bytes - position % log_block_bytes;
  return left < header_size ? position + left : position;
}

constexpr const char* what_is_after_zeros = "zeros come before it";

bool is_zero(std::string_view bytes) {
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

// Takes the fragments of a file in order and puts the records together.
class Scanner {
 public:
  explicit Scanner(std::function<void(std::string_view)> on_record) : on_record_(std::move(on_record)) {}

  LogScan scan;

  void take_block(std::string_view block) {
    const uint64_t block_start = scan.file_bytes;
    scan.file_bytes += block.size();
    uint64_t in_block = 0;
    if (in_zeros_ && !is_zero(block)) scan.wrong = what_is_after_zeros;
    while (!in_zeros_ && scan.wrong.empty() && in_block < block.size() &&
           log_block_bytes - in_block >= header_size) {
      uint64_t end = 0;
      in_zeros_ = !in_record_ && is_zero(block.substr(in_block));
      if (in_zeros_) return;
      scan.wrong = judge_fragment(block, in_block, end);
      if (!scan.wrong.empty()) return;
      scan.wrong = take_fragment(static_cast<FragmentType>(block[in_block + 6]),
                                 block.substr(in_block + header_size, end - in_block - header_size));
      if (!scan.wrong.empty()) return;
      scan.fragment_bytes = block_start + end;
      if (!in_record_) scan.record_bytes = scan.fragment_bytes;
      in_block = end;
    }
  }
  void end() {
    if (scan.wrong.empty() && in_record_) scan.wrong = "the file ends within a record";
  }

 private:
  static std::string judge_fragment(std::string_view block, uint64_t in_block, uint64_t& end_in_block) {
    if (in_block + header_size > block.size()) return "the file ends within a record's header";
    const Header header = parse_header(block.substr(in_block, header_size));
    if (header.type < FragmentType::full || header.type > FragmentType::last)
      return "no record has the type " + std::to_string(header.type);
    end_in_block = in_block + header_size + header.length;
    if (end_in_block > log_block_bytes) return "a record is longer than its block";
    if (end_in_block > block.size()) return "the file ends within a record";
    const auto covered = block.substr(in_block + header_size - 1, header.length + size_t{1});
    if (crc32c(covered) != unmask(header.masked_crc)) return "a record does not have its checksum";
    return {};
  }

  std::string take_fragment(FragmentType type, std::string_view bytes) {
    const bool begins = type == FragmentType::full || type == FragmentType::first;
    if (begins && in_record_) return "a record has no end";
    if (!begins && !in_record_) return "a record has no beginning";
    if (begins) record_.clear();
    const size_t wanted =
        on_record_ ? bytes.size() : batch_header_size - std::min(batch_header_size, record_.size());
    record_.append(bytes.substr(0, wanted));
    in_record_ = type == FragmentType::first || type == FragmentType::middle;
    if (in_record_) return {};
    if (on_record_) on_record_(record_);
    if (record_.size() >= batch_header_size) {
      const std::string_view header = record_;
      const uint64_t write = little_endian(header.substr(0, 8));
      if (!scan.first_write) scan.first_write = write;
      scan.next_write = write + little_endian(header.substr(8, 4));
    }
    return {};
  }

  const std::function<void(std::string_view)> on_record_;
  bool in_record_ = false;
  bool in_zeros_ = false;  // nothing was written from some place between two records on, as far as was read
  // The record that is being put together; a batch's header is enough of it if nobody wants it all.
  std::string record_;
};

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

LogScan scan_log(rocksdb::Env& env, const std::string& path,
                 std::function<void(std::string_view)> on_record) {
  Scanner scanner(std::move(on_record));
  std::unique_ptr<rocksdb::SequentialFile> file;
  auto status = env.NewSequentialFile(path, &file, rocksdb::EnvOptions());
  std::string buffer(log_block_bytes, '\0');
  while (status.ok()) {
    rocksdb::Slice block;
    status = file->Read(log_block_bytes, &block, buffer.data());
    if (!status.ok() || block.empty()) break;
    scanner.take_block({block.data(), block.size()});
  }
  scanner.end();
  if (!status.ok()) {
    scanner.scan.read_failed = true;
    scanner.scan.wrong = status.ToString();
  }
  return std::move(scanner.scan);
}

std::optional<uint64_t> last_fragment_end(const rocksdb::RandomRWFile& log, uint64_t from, uint64_t limit) {
  std::string buffer;
  uint64_t end = from;
  uint64_t window_start = 0;  // the part of the file that `window` holds
  rocksdb::Slice window;
  for (;;) {
    const uint64_t start = skip_filler(end);
    if (start + header_size > limit) return end;
    if (start < window_start || start + header_size > window_start + window.size()) {
      const uint64_t wanted = std::min(limit - start, log_block_bytes - start % log_block_bytes);
      buffer.resize(wanted);
      if (!log.Read(start, wanted, &window, buffer.data()).ok() || window.size() < header_size)
        return std::nullopt;
      window_start = start;
    }
    const Header header = parse_header({window.data() + (start - window_start), header_size});
    const uint64_t next = start + header_size + header.length;
    if (next > limit) return end;
    end = next;
  }
}

}  // namespace covey
