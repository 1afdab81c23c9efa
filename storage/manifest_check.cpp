#include "storage/manifest_check.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <cstdlib>

#include "storage/log_format.h"
#include "storage/rocks_status.h"

namespace covey {

namespace {

enum Tag : uint32_t {
  comparator = 1,
  log_number = 2,
  next_file = 3,
  last_write = 4,
  compaction_cursor = 5,
  deleted_table = 6,
  previous_log = 9,
  logs_kept_from = 10,
  new_table = 103,
  family = 200,
  family_added = 201,
  family_dropped = 202,
  highest_family = 203,
  // Those above this bit may be passed over, as bytes with their length before them; but for the two old ways
  // to note a log.
  ignorable = 1 << 13,
  old_log_added = ignorable + 4,
  old_log_deleted = ignorable + 5,
};

// Of the fields within that of a new table, which end with `last`.
enum TableTag : uint32_t { last = 1, logs_kept_from_in_table = 3 };

constexpr int bits_max = 64;

std::optional<uint64_t> take_number(std::string_view& bytes) {
  uint64_t number = 0;
  for (int shift = 0; shift < bits_max && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    number |= uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80u) == 0) return number;
  }
  return std::nullopt;
}

bool skip_numbers(std::string_view& bytes, int count) {
  while (count > 0 && take_number(bytes)) --count;
  return count == 0;
}

std::optional<std::string_view> take_bytes(std::string_view& bytes) {
  const auto size = take_number(bytes);
  if (!size || *size > bytes.size()) return std::nullopt;
  const auto taken = bytes.substr(0, *size);
  bytes.remove_prefix(*size);
  return taken;
}

// Level, number, size, first key, last key, lowest and highest write, then fields of its own.
bool take_new_table(std::string_view& edit, uint64_t& kept_from) {
  if (!skip_numbers(edit, 3) || !take_bytes(edit) || !take_bytes(edit) || !skip_numbers(edit, 2))
    return false;
  for (;;) {
    const auto tag = take_number(edit);
    if (!tag) return false;
    if (*tag == TableTag::last) return true;
    const auto field = take_bytes(edit);
    if (!field) return false;
    if (*tag != TableTag::logs_kept_from_in_table) continue;
    if (field->size() != sizeof(uint64_t)) return false;
    uint64_t number = 0;
    for (size_t i = field->size(); i > 0; --i) number = number << 8 | static_cast<uint8_t>((*field)[i - 1]);
    kept_from = std::max(kept_from, number);
  }
}

}  // namespace

void LiveLogs::take(std::string_view edit) {
  family_ = 0;
  is_added_ = is_dropped_ = false;
  first_of_family_.reset();
  while (understood_ && !edit.empty()) {
    const auto tag = take_number(edit);
    understood_ = tag && *tag <= UINT32_MAX && take_field(static_cast<uint32_t>(*tag), edit);
  }
  if (is_added_) first_by_family_[family_] = 0;
  if (is_dropped_) {
    first_by_family_.erase(family_);
  } else if (first_of_family_) {
    auto& first = first_by_family_[family_];
    first = std::max(first, *first_of_family_);
  }
}

bool LiveLogs::take_field(uint32_t tag, std::string_view& edit) {
  const auto take_into = [&edit](auto& value) {
    const auto number = take_number(edit);
    if (number) value = *number;
    return number.has_value();
  };
  switch (tag) {
    case Tag::comparator:
      return take_bytes(edit).has_value();
    case Tag::next_file:
    case Tag::last_write:
    case Tag::previous_log:
    case Tag::highest_family:
      return skip_numbers(edit, 1);
    case Tag::compaction_cursor:
      return skip_numbers(edit, 1) && take_bytes(edit);
    case Tag::deleted_table:
      return skip_numbers(edit, 2);
    case Tag::new_table:
      return take_new_table(edit, kept_from_);
    case Tag::log_number:
      return take_into(first_of_family_);
    case Tag::family:
      return take_into(family_);
    case Tag::logs_kept_from: {
      uint64_t number = 0;
      const bool taken = take_into(number);
      kept_from_ = std::max(kept_from_, number);
      return taken;
    }
    case Tag::family_added:
      is_added_ = true;
      return take_bytes(edit).has_value();
    case Tag::family_dropped:
      is_dropped_ = true;
      return true;
    case Tag::old_log_added:
    case Tag::old_log_deleted:
      return false;
    default:
      return (tag & Tag::ignorable) != 0 && take_bytes(edit);
  }
}

uint64_t LiveLogs::first() const {
  if (!understood_ || first_by_family_.empty()) return 0;
  uint64_t first = UINT64_MAX;
  for (const auto& [family, log] : first_by_family_) first = std::min(first, log);
  return std::max(first, kept_from_);
}

ManifestCheck check_manifest(rocksdb::Env& env, const std::string& directory, LogPosition synced) {
  ManifestCheck check;
  const auto damaged = [&check](const std::string& what) {
    check.damage = StoreError{StoreError::Kind::corruption, what};
    return check;
  };
  std::string current;
  const auto status = rocksdb::ReadFileToString(&env, directory + "/CURRENT", &current);
  if (!status.ok()) {
    check.damage = StoreError{StoreError::Kind::io, "CURRENT cannot be read: " + status.ToString()};
    return check;
  }
  constexpr std::string_view prefix = "MANIFEST-";
  if (!current.starts_with(prefix) || !current.ends_with('\n')) return damaged("CURRENT is damaged");
  const std::string name = current.substr(0, current.size() - 1);
  if (!env.FileExists(directory + "/" + name).ok()) return damaged(name + " is missing, which CURRENT names");

  LiveLogs live;
  const LogScan scan =
      scan_log(env, directory + "/" + name, [&live](std::string_view edit) { live.take(edit); });
  if (scan.read_failed) {
    check.damage = StoreError{StoreError::Kind::io, name + " cannot be read: " + scan.wrong};
    return check;
  }
  // A manifest with a higher number has been synced and CURRENT not yet turned to it: then all of this one
  // counts.
  const bool is_marked = std::strtoull(name.c_str() + prefix.size(), nullptr, 10) == synced.log;
  const bool is_short = is_marked ? scan.fragment_bytes < synced.bytes : !scan.wrong.empty();
  if (is_short)
    return damaged(name + " at byte " + std::to_string(scan.fragment_bytes) + " is damaged (" +
                   (scan.wrong.empty() ? "the file ends" : scan.wrong) + ")");
  check.first_live_log = live.first();
  return check;
}

}  // namespace covey
