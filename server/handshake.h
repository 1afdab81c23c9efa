// What two nodes tell each other before anything else on a connection: the dialer its Introduction, the
// acceptor either its own or the reason why it refuses. JSON, so that an operator can read what a foreign
// node said.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "replication/context_token.h"
#include "replication/core.h"

namespace covey::server {

inline constexpr uint32_t peer_protocol_version = 1;
inline constexpr size_t handshake_bytes_max = 16 * 1024;
inline constexpr std::chrono::seconds handshake_time{5};  // that either side gives it at most

struct Introduction {
  uint32_t protocol = peer_protocol_version;
  std::string cluster;
  std::string secret_check;  // shows that the sender knows the cluster's secret without telling it
  Member member;
  std::string instance;  // random for each process: tells a node apart from another one that uses its name
  uint32_t partitions = 0;
  uint32_t replicas = 0;
  uint32_t shard = 0;
  uint32_t shards = 1;
};

std::string secret_check(const TokenKey& secret, const Introduction& introduction);

std::string encode_introduction(const Introduction& introduction);
std::optional<Introduction> decode_introduction(std::string_view payload);

struct HandshakeAnswer {
  std::optional<Introduction> accepted;  // of the acceptor
  std::string refused;                   // else why not
};
std::string encode_refusal(std::string_view reason);
std::optional<HandshakeAnswer> decode_answer(std::string_view payload);

enum class Compatibility {
  fits,
  myself,   // the connection leads back to this very process
  differs,  // the text says in what
};
struct Judgement {
  Compatibility compatibility = Compatibility::fits;
  std::string reason;
};
Judgement judge(const Introduction& mine, const Introduction& theirs, const TokenKey& secret);

}  // namespace covey::server
