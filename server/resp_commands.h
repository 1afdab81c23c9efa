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

struct RespCommand {
  std::string_view name;  // lower case
  int arity = 1;          // words with the name; negative: at least so many
  MeteredOperation operation = MeteredOperation::other;
  bool writes = false;
  // Which words are keys, as COMMAND tells it. last: negative counts from the end.
  int first_key = 0, last_key = 0, key_step = 0;
  bool whole_table = false;  // looks at all keys
  bool before_authentication = false;
  void (*run)(RespCall& call) = nullptr;

  // It names one key, which is words[1].
  bool one_key() const { return first_key == 1 && last_key == 1; }
  // Nothing else of its connection runs beside it.
  bool runs_alone() const { return whole_table || (first_key != 0 && !one_key()); }
};

// A command that reads, or writes, the key that is its first word, or all keys up to last_key.
constexpr RespCommand read_key(std::string_view name, int arity, void (*run)(RespCall&), int last_key = 1) {
  return {.name = name,
          .arity = arity,
          .operation = MeteredOperation::get,
          .first_key = 1,
          .last_key = last_key,
          .key_step = 1,
          .run = run};
}
constexpr RespCommand write_key(std::string_view name, int arity, void (*run)(RespCall&),
                                MeteredOperation operation = MeteredOperation::put, int last_key = 1) {
  return {.name = name,
          .arity = arity,
          .operation = operation,
          .writes = true,
          .first_key = 1,
          .last_key = last_key,
          .key_step = 1,
          .run = run};
}

// The version of Redis whose commands and errors these are.
inline constexpr std::string_view redis_version = "7.0.15";

std::span<const RespCommand> resp_commands();
// nullptr: none of this name, in letters of any case.
const RespCommand* find_resp_command(std::string_view name);

// What words that name no command, or are too few or too many for it, are answered. nullopt: run it.
std::optional<std::string> check_resp_words(const RespCommand* command, const std::vector<std::string>& words,
                                            bool authenticated);

// The groups of commands, each in a file of its own.
std::span<const RespCommand> resp_session_commands();
std::span<const RespCommand> resp_server_commands();
std::span<const RespCommand> resp_string_commands();
std::span<const RespCommand> resp_key_commands();
std::span<const RespCommand> resp_scan_commands();
std::span<const RespCommand> resp_covey_commands();
std::span<const RespCommand> resp_counter_commands();
std::span<const RespCommand> resp_set_commands();
std::span<const RespCommand> resp_hash_commands();

// The options of SSCAN and HSCAN. Their answer is all that matches, and the cursor 0: a set or a hash is read
// as a whole in any case.
struct ElementScan {
  std::string pattern = "*";
  bool parse(RespCall& call);  // false: it was told what is wrong
};

// Whether the word is this option, in letters of any case. `name` is lower case.
bool is_option(std::string_view word, std::string_view name);
std::string lower_case(std::string_view text);

}  // namespace covey::server
