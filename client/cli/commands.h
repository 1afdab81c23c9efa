// The commands, free of how their options are spelled (app.cpp). Each prints its result on standard output
// and its errors on standard error, and returns an exit code of session.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/cli/session.h"

namespace covey::cli {

struct GetCommand {
  std::string key;
  std::string level;
  bool raw = false;  // the bytes alone, without the line feed that text output adds
};
int run(Session& session, const GetCommand& command);

struct PutCommand {
  std::string key;
  std::string value;  // "-": standard input
  std::string level;
  std::string read_level;              // of the read for the context; empty: see context_for_write
  std::optional<std::string> context;  // given: nothing is read first
  bool blind = false;                  // no context: concurrent with everything
  std::optional<Milliseconds> ttl;
  std::string content_type;
  bool only_if_absent = false;
};
int run(Session& session, const PutCommand& command);

struct DelCommand {
  std::string key;
  std::string level;
  std::string read_level;
  std::optional<std::string> context;
  bool blind = false;
};
int run(Session& session, const DelCommand& command);

struct SiblingsCommand {
  std::string key;
  std::string level;
};
int run(Session& session, const SiblingsCommand& command);

struct ResolveCommand {
  std::string key;
  std::optional<std::string> pick;   // a sibling's dot
  std::optional<std::string> value;  // or a new value; "-": standard input
  std::string level;
  std::string read_level;
};
int run(Session& session, const ResolveCommand& command);

struct ScanCommand {
  std::string prefix;
  std::string start;
  uint64_t limit = 0;  // 0: all
  std::string level;
  bool keys_only = false;
};
int run(Session& session, const ScanCommand& command);

// Changes to counters, sets and hashes.
struct ChangeOptions {
  std::string key;
  std::string level;
  std::optional<Milliseconds> ttl;
};
struct IncrementCommand : ChangeOptions {
  std::optional<std::string> field;  // of a hash
  std::string by = "1";              // a JSON number
  std::string token;
};
int run(Session& session, const IncrementCommand& command);
struct ElementsCommand : ChangeOptions {
  std::string op;  // sadd, srem, hdel
  std::vector<std::string> names;
};
int run(Session& session, const ElementsCommand& command);
struct SetFieldsCommand : ChangeOptions {
  std::vector<std::string> pairs;  // names and values in turn
};
int run(Session& session, const SetFieldsCommand& command);

struct MembersCommand {
  std::string key;
  std::string level;
};
int run(Session& session, const MembersCommand& command);
struct FieldsCommand {
  std::string key;
  std::optional<std::string> field;  // this one alone
  std::string level;
};
int run(Session& session, const FieldsCommand& command);

struct ImportCommand {
  std::string file;    // "-": standard input
  std::string format;  // "jsonl", "csv" or empty: by the file's name
  std::optional<std::string> key_field;
  std::string level;
  std::optional<Milliseconds> ttl;
  bool blind = false;
  uint64_t from_line = 1;
  std::string resume_file;  // empty: none
  unsigned parallel = 4;    // batches in flight, 1 to 64
};
int run(Session& session, const ImportCommand& command);

struct ExportCommand {
  std::string prefix;
  std::string out;  // empty: standard output
  std::string level;
};
int run(Session& session, const ExportCommand& command);

struct AggCommand {
  std::string words;  // client/cli/agg_words.h
  std::string where;
  std::string prefix;
  std::vector<std::string> by;
  uint64_t limit_groups = 0;  // 0: the node's default
  bool exact = false;         // quantiles
  bool available = false;     // leave out what can't be answered
  std::string siblings = "latest";
  std::string device = "auto";
  std::string verify = "none";
  bool plot = false;
  bool profile = false;
};
int run(Session& session, const AggCommand& command);

struct ExplainCommand {
  std::string key;
  std::string read_level;
  std::string write_level;
};
int run(Session& session, const ExplainCommand& command);

// What to do about fewer staying members than replicas, from GET /v1/cluster; "" if there are enough.
std::string too_few_stay(const Json& cluster);

struct ClusterStatusCommand {};
int run(Session& session, const ClusterStatusCommand& command);
struct ClusterRingCommand {};
int run(Session& session, const ClusterRingCommand& command);
struct ClusterChangeCommand {
  std::string action;  // join, leave, remove, replace
  std::string node;
  std::string by;  // replace: who takes the place
  bool dry_run = false;
  bool force = false;
  bool wait = false;  // until all copies that move are filled
  Milliseconds limit{600'000};
};
int run(Session& session, const ClusterChangeCommand& command);
struct AwaitConvergedCommand {
  Milliseconds limit{60'000};
};
struct ClusterRepairCommand {
  bool all = false;  // tell also of partitions that are equal
  Milliseconds limit{3'600'000};
};
int run(Session& session, const ClusterRepairCommand& command);
int run(Session& session, const AwaitConvergedCommand& command);

struct ClusterStartCommand {
  std::string folder;
  Milliseconds limit{30'000};  // for all nodes to be ready
  std::string program;         // coveyd; empty: beside this program, then PATH
};
int run(Session& session, const ClusterStartCommand& command);
struct ClusterStopCommand {
  std::string folder;
  Milliseconds limit{30'000};
};
int run(Session& session, const ClusterStopCommand& command);

struct BackupCommand {
  std::string action;  // list, create, verify, delete
  uint32_t id = 0;     // verify, delete; 0: all
  uint32_t keep = 0;   // create; 0: as the node is configured
  bool all = false;    // of every member, one after the other
  bool wait = true;    // until it is done
};
int run(Session& session, const BackupCommand& command);

struct TablesCommand {};
int run(Session& session, const TablesCommand& command);
struct TableCreateCommand {
  std::string name;
  std::string conflicts = "siblings";
  std::vector<std::string> columns;  // NAME:TYPE or NAME:TYPE:/json/pointer
};
int run(Session& session, const TableCreateCommand& command);
struct TableShowCommand {
  std::string name;
};
int run(Session& session, const TableShowCommand& command);
struct TableDropCommand {
  std::string name;
};
int run(Session& session, const TableDropCommand& command);

struct BenchCommand {
  uint64_t operations = 100'000;
  unsigned clients = 16;  // 1 to 1,000, a thread and a connection each
  uint64_t keys = 10'000;
  size_t value_bytes = 100;
  double read_share = 0.5;  // 0 to 1
  std::string read_level;
  std::string write_level;
  unsigned pipeline = 1;  // requests in flight on a connection, 1 to 1,000
  uint64_t seed = 1;
  bool preload = true;
};
int run(Session& session, const BenchCommand& command);

struct ShellCommand {};
int run(Session& session, const ShellCommand& command);

// Reads a VALUE argument: "-" is all of standard input. nullopt if that cannot be read.
std::optional<std::string> value_argument(const std::string& argument);

}  // namespace covey::cli
