#include "storage/durable_mark.h"

#include <rocksdb/env.h>

#include <cstring>
#include <string_view>

#include "storage/crc32c.h"
#include "storage/rocks_status.h"

namespace covey {

namespace {

// Two records, each within a sector of its own: "covey-s2", turn, log, its bytes, manifest, its bytes, last
// write, first log, the manifest before, its bytes (little endian), CRC-32C of these.
constexpr std::string_view magic = "covey-s2";
constexpr size_t record_size = 84;
// Before there was a manifest before.
constexpr std::string_view old_magic = "covey-s1";
constexpr size_t old_record_size = 68;
constexpr uint64_t slot_size = 512;

void append_number(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t read_number(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return value;
}

std::string encode(uint64_t turn, const SyncedPositions& positions) {
  std::string record(magic);
  for (const uint64_t number :
       {turn, positions.logs.end.log, positions.logs.end.bytes, positions.manifest.log,
        positions.manifest.bytes, positions.logs.last_write, positions.logs.first_log,
        positions.manifest_before.log, positions.manifest_before.bytes})
    append_number(record, number, 8);
  append_number(record, crc32c(record), 4);
  return record;
}

struct Record {
  uint64_t turn;
  SyncedPositions positions;
};

std::optional<Record> decode(std::string_view bytes) {
  const bool is_old = bytes.starts_with(old_magic);
  if (is_old) bytes = bytes.substr(0, old_record_size);
  if (!is_old && (bytes.size() != record_size || !bytes.starts_with(magic))) return std::nullopt;
  const std::string_view covered = bytes.substr(0, bytes.size() - 4);
  if (crc32c(covered) != read_number(bytes.substr(covered.size()))) return std::nullopt;
  const auto number = [covered](size_t i) {
    const size_t at = magic.size() + 8 * i;
    return at < covered.size() ? read_number(covered.substr(at, 8)) : 0;
  };
  return Record{
      number(0),
      {{{number(1), number(2)}, number(5), number(6)}, {number(3), number(4)}, {number(7), number(8)}}};
}

}  // namespace

DurableMark::DurableMark(std::unique_ptr<rocksdb::RandomRWFile> file, uint64_t turn,
                         SyncedPositions positions)
    : file_(std::move(file)), turn_(turn), positions_(positions) {}

DurableMark::~DurableMark() = default;

Result<std::unique_ptr<DurableMark>, StoreError> DurableMark::create(rocksdb::Env& env,
                                                                     const std::string& directory) {
  const std::string path = directory + "/" + file_name;
  std::unique_ptr<rocksdb::WritableFile> file;
  auto status = env.NewWritableFile(path, &file, rocksdb::EnvOptions());
  std::string content = encode(0, {});
  content.resize(slot_size + record_size);
  if (status.ok()) status = file->Append(content);
  if (status.ok()) status = file->Sync();
  if (status.ok()) status = file->Close();
  std::unique_ptr<rocksdb::Directory> parent;
  if (status.ok()) status = env.NewDirectory(directory, &parent);
  if (status.ok()) status = parent->Fsync();
  if (!status.ok()) return to_store_error(status, path);
  return open(env, directory);
}

Result<std::unique_ptr<DurableMark>, StoreError> DurableMark::open(rocksdb::Env& env,
                                                                   const std::string& directory) {
  const std::string path = directory + "/" + file_name;
  std::unique_ptr<rocksdb::RandomRWFile> file;
  auto status = env.NewRandomRWFile(path, &file, rocksdb::EnvOptions());
  if (status.IsNotFound() || status.IsPathNotFound())
    return StoreError{StoreError::Kind::corruption,
                      path + " is missing: nothing tells how much of the log there must be"};
  if (!status.ok()) return to_store_error(status, path);

  std::optional<Record> newest;
  for (uint64_t slot = 0; slot < 2; ++slot) {
    std::string buffer(record_size, '\0');
    rocksdb::Slice bytes;
    status = file->Read(slot * slot_size, record_size, &bytes, buffer.data());
    if (!status.ok()) return to_store_error(status, path);
    const auto record = decode({bytes.data(), bytes.size()});
    if (record && (!newest || record->turn > newest->turn)) newest = record;
  }
  if (!newest)
    return StoreError{StoreError::Kind::corruption, path + " is damaged: neither record has its checksum"};
  return std::unique_ptr<DurableMark>(new DurableMark(std::move(file), newest->turn, newest->positions));
}

SyncedPositions DurableMark::positions() const {
  std::lock_guard lock(mutex_);
  return positions_;
}

std::optional<StoreError> DurableMark::advance_logs(SyncedLogs logs) {
  std::lock_guard lock(mutex_);
  return write({logs, positions_.manifest, positions_.manifest_before});
}

std::optional<StoreError> DurableMark::advance_manifest(LogPosition position, uint64_t in_use) {
  std::lock_guard lock(mutex_);
  const bool is_next = position.log != in_use && positions_.manifest.log == in_use;
  return write({positions_.logs, position, is_next ? positions_.manifest : positions_.manifest_before});
}

std::optional<StoreError> DurableMark::write(SyncedPositions positions) {
  if (positions == positions_) return std::nullopt;
  const auto status = file_->Write((turn_ + 1) % 2 * slot_size, encode(turn_ + 1, positions));
  if (!status.ok()) return to_store_error(status, file_name);
  ++turn_;
  positions_ = positions;
  return std::nullopt;
}

std::optional<StoreError> DurableMark::sync() {
  std::lock_guard lock(mutex_);
  const auto status = file_->Sync();
  if (!status.ok()) return to_store_error(status, file_name);
  return std::nullopt;
}

}  // namespace covey
