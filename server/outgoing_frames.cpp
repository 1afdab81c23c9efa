#include "server/outgoing_frames.h"

#include <algorithm>

#include "replication/codec.h"
#include "replication/peer_messages.h"
#include "replication/result.h"
#include "server/peer_frame.h"

namespace covey::server {
namespace {

constexpr size_t piece_bytes_least = 1024;
constexpr size_t piece_bytes_most = 64 * 1024;  // but for a larger message
constexpr size_t kept_bytes_most = 16 * 1024;
constexpr size_t gathered_bytes_least = 16 * 1024;

// What stands before the bytes of a field.
std::string length_delimited(uint32_t field, size_t bytes) {
  std::string out;
  Writer writer(out);
  writer.varint(field << 3 | 2);
  writer.varint(bytes);
  return out;
}

// The message up to its records, which are the last field of its last field then: fields may come in any
// order.
uint8_t* write_up_to_records(peer::Envelope& message, size_t records_bytes, uint8_t* to) {
  const std::unique_ptr<peer::RepairChunk> chunk(message.release_repair_chunk());
  message.ByteSizeLong();
  to = message.SerializeWithCachedSizesToArray(to);
  const std::string before_records = length_delimited(peer::RepairChunk::kRecordsFieldNumber, records_bytes);
  const std::string before_chunk = length_delimited(
      peer::Envelope::kRepairChunkFieldNumber, chunk->ByteSizeLong() + before_records.size() + records_bytes);
  to = std::copy(before_chunk.begin(), before_chunk.end(), to);
  to = chunk->SerializeWithCachedSizesToArray(to);
  return std::copy(before_records.begin(), before_records.end(), to);
}

}  // namespace

char* OutgoingFrames::room(size_t bytes) {
  const bool fits = !pieces_.empty() && pieces_.back().capacity - pieces_.back().used >= bytes;
  if (!fits) {
    Piece piece;
    const size_t wanted = std::clamp(bytes_, piece_bytes_least, piece_bytes_most);
    piece.capacity = std::max(bytes, wanted);
    piece.memory = std::make_unique_for_overwrite<char[]>(piece.capacity);
    pieces_.push_back(std::move(piece));
  }
  Piece& piece = pieces_.back();
  piece.used += bytes;
  bytes_ += bytes;
  return piece.memory.get() + (piece.used - bytes);
}

void OutgoingFrames::add(peer::Envelope& message, size_t size) {
  std::string records;
  if (message.has_repair_chunk() && message.repair_chunk().records().size() >= gathered_bytes_least)
    records = std::move(*message.mutable_repair_chunk()->mutable_records());
  if (!records.empty()) message.mutable_repair_chunk()->clear_records();
  const size_t encoded = size - records.size();
  char* frame = room(frame_header_bytes + encoded);
  auto* payload = reinterpret_cast<uint8_t*>(frame + frame_header_bytes);
  const auto* end = records.empty() ? message.SerializeWithCachedSizesToArray(payload)
                                    : write_up_to_records(message, records.size(), payload);
  COVEY_ASSERT(end == payload + encoded);
  write_frame_header(frame, {frame + frame_header_bytes, encoded}, records);
  if (records.empty()) return;
  Piece piece;
  piece.records = std::move(records);
  bytes_ += piece.records.size();
  pieces_.push_back(std::move(piece));
}

void OutgoingFrames::clear() {
  const auto largest = std::max_element(
      pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) { return a.capacity < b.capacity; });
  if (largest != pieces_.end()) std::swap(*largest, pieces_.front());
  if (pieces_.size() > 1) pieces_.resize(1);
  if (!pieces_.empty()) pieces_[0].used = 0;
  if (!pieces_.empty() && (!pieces_[0].memory || pieces_[0].capacity > kept_bytes_most)) pieces_.clear();
  bytes_ = 0;
}

std::vector<boost::asio::const_buffer> OutgoingFrames::buffers() const {
  std::vector<boost::asio::const_buffer> out;
  out.reserve(pieces_.size());
  for (const Piece& piece : pieces_) out.emplace_back(piece.bytes().data(), piece.bytes().size());
  return out;
}

}  // namespace covey::server
