// What nodes say to each other before they trust each other, and the frames it comes in.
#include <catch2/catch.hpp>

#include "replication/peer_messages.h"
#include "server/handshake.h"
#include "server/message_route.h"
#include "server/metrics.h"
#include "server/outgoing_frames.h"
#include "server/peer_frame.h"

namespace covey::peer_test {

using namespace covey;
using namespace covey::server;

namespace {

const TokenKey secret = token_key("s");

Introduction node(const char* name, const char* instance) {
  Introduction out;
  out.cluster = "c";
  out.member.node.name = name;
  out.member.peer_address = "h:1";
  out.member.http_address = "h:2";
  out.instance = instance;
  out.partitions = 64;
  out.replicas = 3;
  out.secret_check = secret_check(secret, out);
  return out;
}

}  // namespace

TEST_CASE("frames come out as they went in, wherever they are cut", "[peer]") {
  std::string stream;
  append_frame(stream, "first");
  append_frame(stream, "");
  append_frame(stream, std::string(100'000, 'x'));
  for (size_t step : {1ul, 7ul, 4096ul, stream.size()}) {
    FrameReader reader;
    std::vector<std::string> frames;
    for (size_t at = 0; at < stream.size(); at += step) {
      reader.feed(std::string_view(stream).substr(at, step));
      while (auto frame = reader.next()) frames.emplace_back(*frame);
    }
    REQUIRE(frames.size() == 3);
    CHECK(frames[0] == "first");
    CHECK(frames[1].empty());
    CHECK(frames[2].size() == 100'000);
    CHECK(reader.empty());
  }
}

TEST_CASE("frames may be read to where the reader wants them", "[peer]") {
  std::string stream;
  for (const size_t size : {10ul, 300'000ul, 0ul, 2'000'000ul, 130'000ul, 5ul})
    append_frame(stream, std::string(size, static_cast<char>('a' + size % 7)));
  for (const size_t step : {1'000ul, 100'000ul, stream.size()}) {
    FrameReader reader;
    std::string frames;
    for (size_t at = 0; at < stream.size();) {
      const std::span<char> room = reader.room();
      const size_t count = std::min({step, room.size(), stream.size() - at});
      REQUIRE(count > 0);
      std::copy_n(stream.data() + at, count, room.data());
      reader.filled(count);
      at += count;
      while (auto frame = reader.next()) append_frame(frames, *frame);
    }
    CHECK(frames == stream);
    CHECK(reader.empty());
  }
}

TEST_CASE("messages go out as frames, and records as they are", "[peer]") {
  OutgoingFrames outgoing;
  std::vector<std::string> expected;
  for (size_t i = 0; i < 300; ++i) {
    peer::Envelope message;
    message.set_incarnation(i);
    message.set_shard(3);
    if (i % 3 == 0) {
      auto& chunk = *message.mutable_repair_chunk();
      chunk.set_partition(7);
      chunk.set_last(true);
      chunk.set_since("dots");
      chunk.set_records(std::string(i * 1'000, 'r'));
    } else if (i % 3 == 1) {
      message.mutable_push()->set_base(std::string(i * 50, 'b'));
    }
    expected.push_back(message.SerializeAsString());
    outgoing.add(message, message.ByteSizeLong());
  }
  size_t bytes = 0;
  FrameReader reader;
  std::vector<std::string> found;
  for (const auto& piece : outgoing.buffers()) {
    bytes += piece.size();
    reader.feed({static_cast<const char*>(piece.data()), piece.size()});
    while (auto payload = reader.next()) {
      peer::Envelope message;
      REQUIRE(message.ParseFromString(std::string(*payload)));
      found.push_back(message.SerializeAsString());
    }
  }
  CHECK(reader.empty());
  CHECK(found == expected);
  CHECK(outgoing.bytes() == bytes);
  CHECK(outgoing.buffers().size() < 250);  // small ones share theirs
}

TEST_CASE("a frame with one flipped bit is never taken", "[peer]") {
  std::string stream;
  append_frame(stream, "some payload");
  for (size_t bit = 0; bit < stream.size() * 8; ++bit) {
    std::string flipped = stream;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    FrameReader reader;
    reader.feed(flipped);
    CHECK_FALSE(reader.next());
  }
  FrameReader reader;
  reader.feed("GET / HTTP/1.1\r\n\r\n");  // "GET " is a length far beyond the limit
  CHECK_FALSE(reader.next());
  CHECK(reader.failed() == FrameReader::Failure::too_long);
}

TEST_CASE("only nodes that fit are let in, and the others are told why", "[peer]") {
  Introduction mine = node("n1", "i1");
  CHECK(judge(mine, node("n2", "i2"), secret).compatibility == Compatibility::fits);
  CHECK(judge(mine, mine, secret).compatibility == Compatibility::myself);
  auto reason = [&](const Introduction& theirs) {
    Judgement judgement = judge(mine, theirs, secret);
    REQUIRE(judgement.compatibility == Compatibility::differs);
    return judgement.reason;
  };
  CHECK(reason(node("n1", "i2")).find("node id") != std::string::npos);
  Introduction other = node("n2", "i2");
  other.cluster = "elsewhere";
  CHECK(reason(other).find("elsewhere") != std::string::npos);
  other = node("n2", "i2");
  other.partitions = 128;
  CHECK(reason(other).find("128") != std::string::npos);
  other = node("n2", "i2");
  other.replicas = 5;
  CHECK(reason(other).find("replicas") != std::string::npos);
  other = node("n2", "i2");
  other.protocol = 9;
  CHECK(reason(other).find("version") != std::string::npos);
  other = node("n2", "i2");
  other.secret_check = secret_check(token_key("guessed"), other);
  CHECK(reason(other).find("secret") != std::string::npos);
}

TEST_CASE("an introduction survives the wire, and nonsense does not pass for one", "[peer]") {
  Introduction mine = node("n1", "i1");
  auto read = decode_introduction(encode_introduction(mine));
  REQUIRE(read);
  CHECK(read->member == mine.member);
  CHECK(read->instance == mine.instance);
  CHECK(decode_answer(encode_introduction(mine))->accepted);
  CHECK(decode_answer(encode_refusal("because"))->refused == "because");
  for (const char* text : {"", "{}", "[]", "null", "{\"protocol\": 1}", "{\"protocol\": -1}", "\xff\xfe"}) {
    INFO(text);
    CHECK_FALSE(decode_introduction(text));
    CHECK_FALSE(decode_answer(text));
  }
  CHECK_FALSE(decode_introduction(std::string(100'000, ' ') + encode_introduction(mine)));
}

TEST_CASE("a message reaches the shard that it is about", "[peer]") {
  peer::Envelope message;
  CHECK(route_of(message, 64, 4).everywhere);
  message.mutable_digest();
  CHECK(route_of(message, 64, 4).everywhere);
  message.mutable_push()->set_partition(6);
  CHECK(route_of(message, 64, 4).shard == 2);
  message.mutable_fetch_reply()->set_operation(7);
  CHECK(route_of(message, 64, 4).shard == 3);
  message.mutable_forward()->set_table("t");
  message.mutable_forward()->set_key("k");
  CHECK(route_of(message, 64, 4).shard == partition_of("t", "k", 64).value % 4);
}

TEST_CASE("metrics of all shards add up", "[metrics]") {
  Metrics a, b;
  a.observe(MeteredOperation::get, Level{}, 90);
  b.observe(MeteredOperation::get, Level{}, 3'000'000);
  a.requests_by_status[200] = 2;
  b.requests_by_status[200] = 3;
  a.core.read_repairs = 1;
  b.core.read_repairs = 4;
  a.add(b);
  std::string text = print_metrics(a, {});
  auto has = [&](const char* line) { return text.find(line) != std::string::npos; };
  CHECK(has("covey_http_responses_total{status=\"200\"} 5\n"));
  CHECK(has("covey_read_repairs_total 5\n"));
  CHECK(has("covey_request_seconds_bucket{operation=\"get\",level=\"quorum\",le=\"0.0001\"} 1\n"));
  CHECK(has("covey_request_seconds_bucket{operation=\"get\",level=\"quorum\",le=\"+Inf\"} 2\n"));
  CHECK(has("covey_request_seconds_count{operation=\"get\",level=\"quorum\"} 2\n"));
  CHECK(has("covey_request_seconds_sum{operation=\"get\",level=\"quorum\"} 3.00009\n"));
}

}  // namespace covey::peer_test
