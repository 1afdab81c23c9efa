// How requests are written and answers are read: HTTP and RESP for covey, RESP for redis, gRPC for etcd. One
// object serves one connection of the load generator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace covey::bench {

struct Answers {
  size_t consumed = 0;  // bytes of the input that need not be given again
  size_t count = 0;     // complete answers among them
  size_t failed = 0;    // of these, those that were not what was asked for
  std::string failure;  // the first one, in words
};

class Protocol {
 public:
  virtual ~Protocol() = default;
  // What a connection sends before its first batch. Answers to it are not counted.
  virtual void append_greeting(std::string&) {}
  virtual void append_put(std::string& out, std::string_view key, std::string_view value) = 0;
  virtual void append_get(std::string& out, std::string_view key) = 0;
  // After the requests of a batch. Adds what it sends to the answers that are awaited.
  virtual size_t append_end_of_batch(std::string&) { return 0; }
  // Reads what is complete in `in`; may write what the protocol itself must reply to `out`.
  virtual Answers read(std::string_view in, std::string& out) = 0;
};

// Query: "w=2" or "r=1" or nothing. Keys have only characters that a path may hold.
std::unique_ptr<Protocol> covey_http(const std::string& table, const std::string& query);
// wait_replicas > 0: a WAIT for so many replicas ends each batch, as redis clients do it that want that.
std::unique_ptr<Protocol> resp(uint32_t wait_replicas);
// For covey: in this table, with R and W at this level.
std::unique_ptr<Protocol> covey_resp(const std::string& table, uint32_t level);
// etcd's own protocol: gRPC over HTTP/2, its KV service. serializable: reads that any member answers alone.
std::unique_ptr<Protocol> etcd_grpc(bool serializable);

}  // namespace covey::bench
