// The commands of the Redis protocol: their names, how many words they have, which of them are keys, and who
// answers them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/metrics.h"
#include "server/resp_call.h"

namespace covey::server {

// What clients are told of a command, beside what it takes to run it.
struct RespDocs {
  std::string_view since;  // the version of Redis that has it, or of covey
  std::string_view complexity;
  std::string_view arguments;  // as parse_arguments() reads them
  std::string_view summary;
};

struct RespCommand {
  std::string_view name;  // lower case; of a subcommand "client|id"
  int arity = 1;          // words with the name; negative: at least so many
  MeteredOperation operation = MeteredOperation::other;
  bool writes = false;
  // Which words are keys, as COMMAND tells it. last: negative counts from the end.
  int first_key = 0, last_key = 0, key_step = 0;
  bool whole_table = false;  // looks at all keys
  bool before_authentication = false;
  void (*run)(RespCall& call) = nullptr;
  RespDocs docs;
  std::span<const RespCommand> (*subcommands)() = nullptr;
  std::string_view group = {};  // set by resp_commands(); of a subcommand see group_of()

  bool fits(size_t words) const {
    return arity > 0 ? words == static_cast<size_t>(arity) : words >= static_cast<size_t>(-arity);
  }
  bool reads() const { return !writes && (first_key != 0 || whole_table); }
  std::span<const RespCommand> subcommands_or_none() const;
  // It names one key, which is words[1].
  bool one_key() const { return first_key == 1 && last_key == 1; }
  // Nothing else of its connection runs beside it.
  bool runs_alone() const { return whole_table || (first_key != 0 && !one_key()); }
};

// A command that reads, or writes, the key that is its first word, or all keys up to last_key.
constexpr RespCommand read_key(std::string_view name, int arity, void (*run)(RespCall&), RespDocs docs,
                               int last_key = 1) {
  return {.name = name,
          .arity = arity,
          .operation = MeteredOperation::get,
          .first_key = 1,
          .last_key = last_key,
          .key_step = 1,
          .run = run,
          .docs = docs};
}
constexpr RespCommand write_key(std::string_view name, int arity, void (*run)(RespCall&), RespDocs docs,
                                MeteredOperation operation = MeteredOperation::put, int last_key = 1) {
  return {.name = name,
          .arity = arity,
          .operation = operation,
          .writes = true,
          .first_key = 1,
          .last_key = last_key,
          .key_step = 1,
          .run = run,
          .docs = docs};
}

// The version of Redis whose commands and errors these are.
inline constexpr std::string_view redis_version = "7.0.15";

std::span<const RespCommand> resp_commands();  // in the order of their names
// nullptr: none of this name, in letters of any case. Subcommands only as "client|id".
const RespCommand* find_resp_command(std::string_view name);
// The same for the words of a command: its subcommand, if the second word names one.
const RespCommand* find_resp_command(std::span<const std::string> words);
// "string", "connection", ...
std::string_view group_of(const RespCommand& command);

// What words that name no command, or are too few or too many for it, are answered. nullopt: run it.
std::optional<std::string> check_resp_words(const RespCommand* command, const std::vector<std::string>& words,
                                            bool authenticated);

// The groups of commands, each in a file of its own.
std::span<const RespCommand> resp_session_commands();
std::span<const RespCommand> resp_client_commands();
std::span<const RespCommand> resp_command_commands();
std::span<const RespCommand> resp_server_commands();
std::span<const RespCommand> resp_info_commands();
std::span<const RespCommand> resp_string_commands();
std::span<const RespCommand> resp_key_commands();
std::span<const RespCommand> resp_scan_commands();
std::span<const RespCommand> resp_covey_commands();
std::span<const RespCommand> resp_counter_commands();
std::span<const RespCommand> resp_set_commands();
std::span<const RespCommand> resp_hash_commands();

void covey_incr(RespCall& call);  // counts, and is covey's own

// The options of SSCAN and HSCAN. Their answer is all that matches, and the cursor 0: a set or a hash is read
// as a whole in any case.
struct ElementScan {
  std::string pattern = "*";
  std::string wrong;           // with the options, in Redis' words: where the key holds something
  bool parse(RespCall& call);  // false: it was told that the cursor is none
};

// Whether the word is this option, in letters of any case. `name` is lower case.
bool is_option(std::string_view word, std::string_view name);
std::string lower_case(std::string_view text);
std::string upper_case(std::string_view text);
// What errors repeat of a client's word: as in Redis up to a byte 0, and not much.
std::string_view told(std::string_view word, size_t bytes_max = 128);

}  // namespace covey::server
