#include "storage/durable_mark.h"

#include <rocksdb/env.h>

#include <cstring>
#include <string_view>

#include "storage/crc32c.h"
#include "storage/rocks_status.h"

namespace covey {

namespace {

// Two records, each within a sector of its own: "covey-s1", turn, log, bytes (little endian), CRC-32C of
// these.
constexpr std::string_view magic = "covey-s1";
constexpr size_t record_size = 36;
constexpr uint64_t slot_size = 512;

void append_number(std::string& out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t read_number(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return value;
}

std::string encode(uint64_t turn, LogPosition position) {
  std::string record(magic);
  append_number(record, turn, 8);
  append_number(record, position.log, 8);
  append_number(record, position.bytes, 8);
  append_number(record, crc32c(record), 4);
  return record;
}

struct Record {
  uint64_t turn;
  LogPosition position;
};

std::optional<Record> decode(std::string_view bytes) {
  if (bytes.size() != record_size || !bytes.starts_with(magic)) return std::nullopt;
  if (crc32c(bytes.substr(0, record_size - 4)) != read_number(bytes.substr(record_size - 4)))
    return std::nullopt;
  return Record{read_number(bytes.substr(8, 8)),
                {read_number(bytes.substr(16, 8)), read_number(bytes.substr(24, 8))}};
}

}  // namespace

DurableMark::DurableMark(std::unique_ptr<rocksdb::RandomRWFile> file, uint64_t turn, LogPosition position)
    : file_(std::move(file)), turn_(turn), position_(position) {}

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
  return std::unique_ptr<DurableMark>(new DurableMark(std::move(file), newest->turn, newest->position));
}

std::optional<StoreError> DurableMark::advance(LogPosition position) {
  if (position == position_) return std::nullopt;
  const auto status = file_->Write((turn_ + 1) % 2 * slot_size, encode(turn_ + 1, position));
  if (!status.ok()) return to_store_error(status, file_name);
  ++turn_;
  position_ = position;
  return std::nullopt;
}

std::optional<StoreError> DurableMark::sync() {
  const auto status = file_->Sync();
  if (!status.ok()) return to_store_error(status, file_name);
  return std::nullopt;
}

}  // namespace covey
