// The little of gRPC over HTTP/2 (RFC 9113, RFC 7541) that etcd's Put and Range need: requests whose headers
// are written without compression state, answers of which only the end and the status are looked at. Flow
// control is answered generously: the window for what the server sends is widened as it is used.
#include <set>
#include <utility>

#include "tests/bench/protocol.h"

namespace covey::bench {
namespace {

enum Frame : uint8_t {
  data = 0,
  headers = 1,
  reset = 3,
  settings = 4,
  ping = 6,
  go_away = 7,
  window_update = 8
};
constexpr uint8_t end_stream = 1;       // of data and headers
constexpr uint8_t acknowledgement = 1;  // of settings and ping
constexpr uint8_t end_headers = 4;
constexpr size_t head_bytes = 9;
constexpr size_t window_step_bytes = 1 << 20;

void append_big_endian(std::string& out, uint32_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(number >> shift & 0xff));
}

uint32_t big_endian(std::string_view in, int bytes) {
  uint32_t number = 0;
  for (int i = 0; i < bytes; ++i) number = number << 8 | static_cast<uint8_t>(in[static_cast<size_t>(i)]);
  return number;
}

void append_frame(std::string& out, Frame type, uint8_t flags, uint32_t stream, std::string_view content) {
  append_big_endian(out, static_cast<uint32_t>(content.size()), 3);
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  append_big_endian(out, stream, 4);
  out.append(content);
}

// A header that is not put into the table, its texts as they are. Texts are shorter than 127 bytes.
void append_header(std::string& out, std::string_view name, std::string_view value) {
  out.push_back(0);
  for (const std::string_view text : {name, value}) {
    out.push_back(static_cast<char>(text.size()));
    out.append(text);
  }
}

std::string request_headers(std::string_view method) {
  std::string out;
  append_header(out, ":method", "POST");
  append_header(out, ":scheme", "http");
  append_header(out, ":path", "/etcdserverpb.KV/" + std::string(method));
  append_header(out, ":authority", "etcd");
  append_header(out, "content-type", "application/grpc");
  append_header(out, "te", "trailers");
  return out;
}

void append_varint(std::string& out, size_t number) {
  for (; number >= 0x80; number >>= 7) out.push_back(static_cast<char>((number & 0x7f) | 0x80));
  out.push_back(static_cast<char>(number));
}

void append_bytes_field(std::string& out, int field, std::string_view bytes) {
  out.push_back(static_cast<char>(field << 3 | 2));
  append_varint(out, bytes.size());
  out.append(bytes);
}

class EtcdGrpc final : public Protocol {
 public:
  explicit EtcdGrpc(bool serializable)
      : serializable_(serializable),
        put_headers_(request_headers("Put")),
        range_headers_(request_headers("Range")) {}

  void append_greeting(std::string& out) override {
    out.append("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    append_frame(out, settings, 0, 0, {});
    append_window(out, 16 * window_step_bytes);
  }

  // PutRequest: key 1, value 2
  void append_put(std::string& out, std::string_view key, std::string_view value) override {
    message_.clear();
    append_bytes_field(message_, 1, key);
    append_bytes_field(message_, 2, value);
    append_call(out, put_headers_);
  }

  // RangeRequest: key 1, serializable 7
  void append_get(std::string& out, std::string_view key) override {
    message_.clear();
    append_bytes_field(message_, 1, key);
    if (serializable_) message_.append("\x38\x01");
    append_call(out, range_headers_);
  }

  Answers read(std::string_view in, std::string& out) override {
    Answers answers;
    while (in.size() >= answers.consumed + head_bytes) {
      const std::string_view left = in.substr(answers.consumed);
      const size_t length = big_endian(left, 3);
      if (left.size() < head_bytes + length) break;
      const FrameHead head{static_cast<Frame>(left[3]), static_cast<uint8_t>(left[4]),
                           big_endian(left.substr(5), 4)};
      take(head, left.substr(head_bytes, length), answers, out);
      answers.consumed += head_bytes + length;
    }
    return answers;
  }

 private:
  struct FrameHead {
    Frame type;
    uint8_t flags;
    uint32_t stream;
  };

  void take(const FrameHead& head, std::string_view content, Answers& answers, std::string& out) {
    const auto [type, flags, stream] = head;
    const auto fail = [&](const char* what) {
      if (++answers.failed == 1) answers.failure = what;
    };
    if (type == data) {
      with_content_.insert(stream);
      received_ += content.size();
      if (received_ >= window_step_bytes) append_window(out, std::exchange(received_, 0));
    } else if (type == headers && (flags & end_stream) != 0) {
      ++answers.count;
      // A call that failed has a status and a text in its headers, and no content.
      if (with_content_.erase(stream) == 0) fail("gRPC: the call failed");
    } else if (type == reset || type == go_away) {
      ++answers.count;
      fail("gRPC: the server ended the stream");
    } else if ((type == settings || type == ping) && (flags & acknowledgement) == 0) {
      append_frame(out, type, acknowledgement, 0, type == ping ? content : std::string_view{});
    }
  }

  void append_call(std::string& out, std::string_view header_block) {
    append_frame(out, headers, end_headers, next_stream_, header_block);
    append_big_endian(out, static_cast<uint32_t>(message_.size()) + 5, 3);
    out.push_back(data);
    out.push_back(end_stream);
    append_big_endian(out, next_stream_, 4);
    out.push_back(0);  // not compressed
    append_big_endian(out, static_cast<uint32_t>(message_.size()), 4);
    out.append(message_);
    next_stream_ += 2;
  }

  void append_window(std::string& out, size_t bytes) {
    std::string content;
    append_big_endian(content, static_cast<uint32_t>(bytes), 4);
    append_frame(out, window_update, 0, 0, content);
  }

  bool serializable_;
  std::string put_headers_;
  std::string range_headers_;
  std::string message_;
  uint32_t next_stream_ = 1;
  size_t received_ = 0;
  std::set<uint32_t> with_content_;  // streams that have not ended yet
};

}  // namespace

std::unique_ptr<Protocol> etcd_grpc(bool serializable) { return std::make_unique<EtcdGrpc>(serializable); }

}  // namespace covey::bench
