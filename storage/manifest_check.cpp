#include "storage/manifest_check.h"

#include <rocksdb/env.h>

#include <algorithm>
#include <cstdlib>

#include "replication/codec.h"
#include "storage/log_format.h"
#include "storage/rocks_status.h"

namespace covey {

namespace {

// The number of the manifest that CURRENT names with these contents; nullopt: it names none.
std::optional<uint64_t> number_in(const std::string& current) {
  constexpr std::string_view prefix = "MANIFEST-";
  if (!current.starts_with(prefix) || !current.ends_with('\n')) return std::nullopt;
  return std::strtoull(current.c_str() + prefix.size(), nullptr, 10);
}

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

// Of the fields within that of a new table, which end with `table_ends`.
enum TableTag : uint32_t { table_ends = 1, logs_kept_from_in_table = 3 };

void skip_numbers(Reader& edit, int count) {
  for (; count > 0; --count) edit.varint();
}

// Level, number, size, first key, last key, lowest and highest write, then fields of its own.
void take_new_table(Reader& edit, uint64_t& kept_from) {
  skip_numbers(edit, 3);
  edit.bytes();
  edit.bytes();
  skip_numbers(edit, 2);
  while (edit.ok()) {
    const auto tag = edit.varint();
    if (tag == TableTag::table_ends) return;
    Reader field(edit.bytes());
    if (tag != TableTag::logs_kept_from_in_table) continue;
    kept_from = std::max(kept_from, field.u64());
    if (!field.done()) edit.fail();
  }
}

}  // namespace

void LiveLogs::take(std::string_view edit) {
  family_ = 0;
  is_added_ = is_dropped_ = false;
  first_of_family_.reset();
  Reader in(edit);
  while (understood_ && !in.done()) {
    const auto tag = in.varint();
    if (tag > UINT32_MAX) in.fail();
    if (in.ok()) take_field(static_cast<uint32_t>(tag), in);
    understood_ = in.ok();
  }
  if (is_added_) first_by_family_[family_] = 0;
  if (is_dropped_) {
    first_by_family_.erase(family_);
  } else if (first_of_family_) {
    auto& first = first_by_family_[family_];
    first = std::max(first, *first_of_family_);
  }
}

void LiveLogs::take_field(uint32_t tag, Reader& edit) {
  switch (tag) {
    case Tag::comparator:
      edit.bytes();
      return;
    case Tag::next_file:
    case Tag::last_write:
    case Tag::previous_log:
    case Tag::highest_family:
      return skip_numbers(edit, 1);
    case Tag::compaction_cursor:
      skip_numbers(edit, 1);
      edit.bytes();
      return;
    case Tag::deleted_table:
      return skip_numbers(edit, 2);
    case Tag::new_table:
      return take_new_table(edit, kept_from_);
    case Tag::log_number:
      first_of_family_ = edit.varint();
      return;
    case Tag::family:
      family_ = edit.varint();
      return;
    case Tag::logs_kept_from:
      kept_from_ = std::max(kept_from_, edit.varint());
      return;
    case Tag::family_added:
      is_added_ = true;
      edit.bytes();
      return;
    case Tag::family_dropped:
      is_dropped_ = true;
      return;
    case Tag::old_log_added:
    case Tag::old_log_deleted:
      return edit.fail();
    default:
      if ((tag & Tag::ignorable) == 0) return edit.fail();
      edit.bytes();
  }
}

uint64_t LiveLogs::first() const {
  if (!understood_ || first_by_family_.empty()) return 0;
  uint64_t first = UINT64_MAX;
  for (const auto& [family, log] : first_by_family_) first = std::min(first, log);
  return std::max(first, kept_from_);
}

uint64_t manifest_in_use(rocksdb::Env& env, const std::string& directory) {
  std::string current;
  if (!rocksdb::ReadFileToString(&env, directory + "/CURRENT", &current).ok()) return 0;
  return number_in(current).value_or(0);
}

ManifestCheck check_manifest(rocksdb::Env& env, const std::string& directory,
                             const std::vector<LogPosition>& synced) {
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
  const auto number = number_in(current);
  if (!number) return damaged("CURRENT is damaged");
  const std::string name = current.substr(0, current.size() - 1);
  if (!env.FileExists(directory + "/" + name).ok()) return damaged(name + " is missing, which CURRENT names");

  LiveLogs live;
  const LogScan scan =
      scan_log(env, directory + "/" + name, [&live](std::string_view edit) { live.take(edit); });
  if (scan.read_failed) {
    check.damage = StoreError{StoreError::Kind::io, name + " cannot be read: " + scan.wrong};
    return check;
  }
  const auto mark = std::find_if(synced.begin(), synced.end(),
                                 [number](const LogPosition& place) { return place.log == *number; });
  const bool is_marked = mark != synced.end();
  const bool is_short = is_marked ? scan.fragment_bytes < mark->bytes : !scan.wrong.empty();
  if (is_short)
    return damaged(name + " at byte " + std::to_string(scan.fragment_bytes) + " is damaged (" +
                   (scan.wrong.empty() ? "the file ends" : scan.wrong) + ")");
  // RocksDB does nothing on the strength of an edit before it is synced: one that a crash has torn never was.
  if (is_marked && !scan.wrong.empty() && scan.record_bytes >= mark->bytes) {
    check.drop = {name, scan.record_bytes, scan.file_bytes};
    check.note = note_of(*check.drop, scan.wrong);
  }
  check.first_live_log = live.first();
  return check;
}

}  // namespace covey
