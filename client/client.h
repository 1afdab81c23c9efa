// The covey client library: a synchronous client over the HTTP interface of one or several nodes.
//
//   auto client = covey::client::Client::open({.endpoints = {"127.0.0.1:7101", "127.0.0.1:7102"}});
//   auto reading = client->get("default", "cart:7");
//   if (reading) client->put("default", "cart:7", "[1,2]", {.context = reading->context});
//
// Contexts. A read returns a context: what the store had seen of the key. Handing it to the next write says
// "this write replaces what I read"; whatever it does not cover stays beside it as a sibling. A write without
// a context is concurrent with everything. Contexts are opaque; keep and return them unchanged.
//
// Retries. The next endpoint is tried when a connection cannot be made, and for reads also when an answer
// does not come. A write of which any byte was sent is never repeated: it ends with Error::outcome_unknown,
// and the caller decides (read again, then write with the new context). An answer of a node is final,
// refusals included.
//
// Threads. A Client is used by one thread at a time; give each thread its own. Calls block until their
// deadline at most: the request's timeout plus a second for each endpoint tried, name resolution excepted.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/result.h"

namespace covey::client {

using Json = nlohmann::ordered_json;
using Milliseconds = std::chrono::milliseconds;

struct Error {
  enum class Kind {
    refused,  // the request is wrong for this store: bad level, key, column, size, precondition, 100 siblings
    not_found,    // no such table (an absent key is not an error: see Reading)
    unavailable,  // too few replicas reachable, known before trying; nothing was written
    timed_out,    // tried, and not enough answered in time
    overloaded,   // a limit of the node was reached; nothing was written; retry_after says when to come again
    unreachable,  // no endpoint could be connected; nothing was sent
    failed,       // the node failed (5xx) or its answer makes no sense
  };
  Kind kind = Kind::failed;
  std::string code;              // the API's code ("unavailable", "bad_column", ...), empty without an answer
  std::string message;           // one sentence
  bool outcome_unknown = false;  // a write may or may not take effect
  int status = 0;                // HTTP status; 0 without an answer
  std::optional<std::chrono::seconds> retry_after;
  Json details;  // the whole error object of the answer: needed, reachable, received, owners ...
};

// Levels below are "one", "quorum", "all" or "1".."N"; empty means the node's default. timeout is the node's
// time limit for the request (timeout_ms); the client itself waits a second longer, so that the node's answer
// arrives.
struct ReadOptions {
  std::string level;
  std::optional<bool> sloppy;
  std::optional<Milliseconds> timeout;
};

struct WriteOptions {
  std::string level;
  std::optional<bool> sloppy;
  std::optional<Milliseconds> timeout;
  std::string context;              // of the read that this write replaces; empty: concurrent
  std::optional<Milliseconds> ttl;  // the value expires so long after the write; puts only
  std::string content_type;         // empty: guessed from the bytes (JSON, UTF-8 text, bytes)
  bool only_if_absent = false;      // If-None-Match: *, checked by the coordinating replica alone
  std::string only_if_dot;          // If-Match, likewise; empty: no condition
};

struct Version {
  std::string value;  // bytes
  std::string content_type;
  std::string dot;   // "n1.7f3a:42"; empty from get() when there is one version only
  std::string time;  // of the write, as the node tells it; empty where the node does not
};

// What a key holds. No versions: absent. Several: siblings, concurrent writes that nobody has merged yet.
struct Reading {
  std::vector<Version> versions;
  std::string context;
  std::string type;  // "value", "counter", "set" or "hash"; empty where it is not told. Of the last three
                     // get() gives one version, its value JSON
  struct Replicas {
    int owners = 0;
    int asked = 0;  // 0: not told
    int answered = 0;
    int behind = 0;
  } replicas;
  bool found() const { return !versions.empty(); }
  bool siblings() const { return versions.size() > 1; }
};

struct Written {
  std::string dot;
  std::string context;  // covers this write: for the next write of the same key
  int acks_needed = 0;
  int acks_received = 0;
};

// What a change to a counter, a set or a hash did, as the coordinating replica saw the key.
struct Changed : Written {
  std::string value;      // of an increment: the new number as JSON; else empty
  uint64_t added = 0;     // elements or fields that were not there
  uint64_t removed = 0;   // that were there
  bool repeated = false;  // the token was known: nothing was added
};

struct BatchOperation {
  enum class Kind { put, del, get, change };
  Kind kind = Kind::put;
  std::string key;
  std::string value;  // change: members of a JSON object without its braces: "op" and what belongs to it
  std::string content_type;  // empty: guessed
  std::string context;
  std::optional<Milliseconds> ttl;
};

// The result of one operation of a batch: each stands for itself.
struct BatchOutcome {
  int status = 0;
  std::string dot;
  std::string context;
  std::vector<Version> versions;  // gets only
  std::optional<Error> error;     // absent for success, and for a get of an absent key
};

struct ScanOptions {
  std::string prefix;
  std::string start;   // first key, inclusive
  std::string cursor;  // of the page before; instead of start
  int limit = 0;       // keys in the page; 0: the node's default
  std::string level;
  std::optional<bool> sloppy;
  std::optional<Milliseconds> timeout;
};

struct ScanEntry {
  std::string key;
  std::vector<Version> versions;
  std::string context;
  std::string type;  // "counter", "set" or "hash": one version then, its value JSON; empty: values
};

struct ScanPage {
  std::vector<ScanEntry> entries;
  std::string cursor;  // empty: that was the last page
};

struct Health {
  bool good = false;
  std::string reason;  // why not
};

struct ClientOptions {
  std::vector<std::string> endpoints = {"127.0.0.1:7101"};  // HOST:PORT of nodes' HTTP; tried in this order
  Milliseconds connect_timeout{1000};                       // for each address
  Milliseconds request_timeout{10'000};                     // for calls that give no timeout of their own
};

class Client {
 public:
  // Parses the endpoints; connects only when it must. Error: refused, naming the endpoint that is not
  // HOST:PORT.
  static Result<Client, Error> open(ClientOptions options);
  ~Client();
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;

  // Keys are 1 to 2,048 bytes, any bytes. An absent key is a Reading without versions, with its context.
  // get() gives a single value byte for byte; JSON among siblings, and in read_all(), comes without white
  // space. read_all() asks for times and replica counts as well.
  Result<Reading, Error> get(std::string_view table, std::string_view key, const ReadOptions& options = {});
  Result<Reading, Error> read_all(std::string_view table, std::string_view key,
                                  const ReadOptions& options = {});

  Result<Written, Error> put(std::string_view table, std::string_view key, std::string_view value,
                             const WriteOptions& options = {});
  // Deletes what options.context covers; without a context, nothing that is there.
  Result<Written, Error> del(std::string_view table, std::string_view key, const WriteOptions& options = {});

  // body: a JSON object with an "op", as docs/http.md says. Increments with a token are repeated like reads:
  // they count once.
  Result<Changed, Error> change(std::string_view table, std::string_view key, std::string body,
                                const WriteOptions& options = {}, bool has_token = false);

  // Many at once; outcomes in the order of the operations. An Error is of the whole call: with
  // outcome_unknown any of the writes may have happened. Of the options, level, sloppy and timeout count.
  Result<std::vector<BatchOutcome>, Error> batch(std::string_view table,
                                                 const std::vector<BatchOperation>& operations,
                                                 const WriteOptions& options = {});

  // One page of keys in bytewise order; hand page.cursor to the next call until it is empty.
  Result<ScanPage, Error> scan(std::string_view table, const ScanOptions& options = {});

  // JSON as the node gives it (docs/ of the HTTP interface tells the fields).
  Result<Json, Error> cluster();
  // action: join, leave, remove, replace or repair. body: as docs/http.md says.
  Result<Json, Error> change_cluster(std::string_view action, const Json& body);
  Result<Json, Error> repair();  // how the node's last one goes or went
  Result<Json, Error> backups();
  // action: create, verify or delete; answers the job's number. body: as docs/http.md says.
  Result<Json, Error> start_backup_job(std::string_view action, const Json& body);
  Result<Json, Error> explain(std::string_view table, std::string_view key, std::string_view read_level = {},
                              std::string_view write_level = {});
  Result<Json, Error> tables();
  Result<Json, Error> table(std::string_view name);
  // definition: {"conflicts": "siblings" | "lww", "columns": [...]}
  Result<Json, Error> create_table(std::string_view name, const Json& definition);
  Result<Json, Error> drop_table(std::string_view name);

  // The body and the answer of POST /v1/aggregate (docs/aggregation.md). timeout: as timeout_ms, unless the
  // body says.
  Result<Json, Error> aggregate(const Json& body, std::optional<Milliseconds> timeout = {});

  // 200 and 503 are both answers, not errors.
  Result<Health, Error> live();
  Result<Health, Error> ready();

  // HOST:PORT of the node that answered last, or that will be tried next.
  const std::string& endpoint() const;

 private:
  class State;
  explicit Client(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace covey::client
