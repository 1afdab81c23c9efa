// COMMAND: what this table of commands says of itself.
#include <algorithm>
#include <functional>

#include "server/glob.h"
#include "server/resp_docs.h"

namespace covey::server {
namespace {

using Filter = std::function<bool(const RespCommand&)>;

void info_of_all(RespCall& call) {
  const auto all = resp_commands();
  call.reply().array(all.size());
  for (const RespCommand& one : all) write_command_info(call.reply(), one);
  call.done();
}

void command_info(RespCall& call) {
  if (call.words.size() == 2) return info_of_all(call);
  call.reply().array(call.words.size() - 2);
  for (size_t i = 2; i < call.words.size(); ++i) {
    const RespCommand* known = find_resp_command(std::string_view(call.words[i]));
    known == nullptr ? call.reply().null() : write_command_info(call.reply(), *known);
  }
  call.done();
}

void docs(RespCall& call) {
  std::vector<const RespCommand*> told;
  for (size_t i = 2; i < call.words.size(); ++i) {
    if (const RespCommand* known = find_resp_command(std::string_view(call.words[i]))) told.push_back(known);
  }
  if (call.words.size() == 2) {
    for (const RespCommand& one : resp_commands()) told.push_back(&one);
  }
  call.reply().map(told.size());
  for (const RespCommand* one : told) {
    call.reply().bulk(one->name);
    write_command_docs(call.reply(), *one);
  }
  call.done();
}

void count(RespCall& call) {
  call.reply().integer(static_cast<int64_t>(resp_commands().size()));
  call.done();
}

// Empty: the words make no sense.
Filter filter_of(const std::vector<std::string>& words) {
  if (words.size() == 2) return [](const RespCommand&) { return true; };
  if (words.size() != 5 || !is_option(words[2], "filterby")) return {};
  const std::string wanted = lower_case(words[4]);
  if (is_option(words[3], "module")) return [](const RespCommand&) { return false; };
  if (is_option(words[3], "pattern"))
    return [wanted](const RespCommand& command) { return matches_glob(wanted, command.name); };
  if (!is_option(words[3], "aclcat")) return {};
  return [category = "@" + wanted](const RespCommand& command) {
    const auto all = categories_of(command);
    return std::find(all.begin(), all.end(), category) != all.end();
  };
}

void command_list(RespCall& call) {
  const Filter wanted = filter_of(call.words);
  if (!wanted) return call.fail_syntax();
  std::vector<std::string_view> names;
  const auto take = [&](const RespCommand& one) {
    if (wanted(one)) names.push_back(one.name);
  };
  for (const RespCommand& one : resp_commands()) {
    take(one);
    for (const RespCommand& subcommand : one.subcommands_or_none()) take(subcommand);
  }
  call.reply().array(names.size());
  for (const std::string_view name : names) call.reply().bulk(name);
  call.done();
}

void getkeys(RespCall& call) {
  const std::span<const std::string> words = std::span(call.words).subspan(2);
  const RespCommand* command = find_resp_command(words);
  const bool no_subcommand = command != nullptr && command->subcommands != nullptr && words.size() > 1;
  if (command == nullptr || no_subcommand) return call.fail("ERR Invalid command specified");
  if (command->first_key == 0) return call.fail("ERR The command has no key arguments");
  if (!command->fits(words.size())) return call.fail("ERR Invalid number of arguments specified for command");
  const auto begin = static_cast<size_t>(command->first_key), step = static_cast<size_t>(command->key_step);
  const size_t end = command->last_key < 0 ? words.size() : static_cast<size_t>(command->last_key) + 1;
  call.reply().array((end - begin + step - 1) / step);
  for (size_t i = begin; i < end; i += step) call.reply().bulk(words[i]);
  call.done();
}

constexpr RespCommand command_subcommands[] = {
    {.name = "command|count",
     .arity = 2,
     .run = count,
     .docs = {"2.8.13", "O(1)", "", "How many commands there are, without subcommands."}},
    {.name = "command|docs",
     .arity = -2,
     .run = docs,
     .docs = {"7.0.0", "O(N) in the commands", "[command-name...]",
              "What all commands, or those that are named, do, and their arguments."}},
    {.name = "command|getkeys",
     .arity = -4,
     .run = getkeys,
     .docs = {"2.8.13", "O(N) in the words", "command arg...", "Which words of a command are keys."}},
    {.name = "command|help", .arity = 2, .run = subcommand_help, .docs = help_docs},
    {.name = "command|info",
     .arity = -2,
     .run = command_info,
     .docs = {"2.8.13", "O(N) in the commands", "[command-name...]",
              "Arity, flags and keys of all commands, or of those that are named."}},
    {.name = "command|list",
     .arity = -2,
     .run = command_list,
     .docs = {"7.0.0", "O(N) in the commands",
              "[FILTERBY (filterby=MODULE module-name|ACLCAT category|PATTERN pattern)]",
              "The names of commands and subcommands."}},
};

constexpr RespCommand command_commands[] = {
    {.name = "command",
     .arity = -1,
     .run = info_of_all,
     .docs = {"2.8.13", "O(N) in the commands", "", "As COMMAND INFO, of all commands."},
     .subcommands = []() -> std::span<const RespCommand> { return command_subcommands; }},
};

}  // namespace

std::span<const RespCommand> resp_command_commands() { return command_commands; }

}  // namespace covey::server
