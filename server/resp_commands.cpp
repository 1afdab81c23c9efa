#include "server/resp_commands.h"

#include <algorithm>
#include <cctype>
#include <unordered_map>

namespace covey::server {
namespace {

constexpr size_t arguments_bytes_max = 128;  // of the words of a command that is not known: as in Redis

std::string unknown_command(const std::vector<std::string>& words) {
  std::string arguments;
  for (size_t i = 1; i < words.size() && arguments.size() < arguments_bytes_max; ++i) {
    const size_t room = arguments_bytes_max - arguments.size();
    arguments.append("'").append(told(words[i], room)).append("' ");
  }
  return "ERR unknown command '" + std::string(told(words[0])) + "', with args beginning with: " + arguments;
}

std::string unknown_subcommand(const RespCommand& command, const std::string& word) {
  return "ERR unknown subcommand '" + std::string(told(word)) + "'. Try " + upper_case(command.name) +
         " HELP.";
}

std::vector<RespCommand> all_commands() {
  struct Group {
    std::string_view name;  // Redis' own where there is one: clients show it
    std::span<const RespCommand> commands;
  };
  const Group groups[] = {
      {"connection", resp_session_commands()}, {"connection", resp_client_commands()},
      {"server", resp_command_commands()},     {"server", resp_server_commands()},
      {"server", resp_info_commands()},        {"string", resp_string_commands()},
      {"string", resp_counter_commands()},     {"generic", resp_key_commands()},
      {"generic", resp_scan_commands()},       {"set", resp_set_commands()},
      {"hash", resp_hash_commands()},          {"covey", resp_covey_commands()},
  };
  std::vector<RespCommand> all;
  for (const Group& group : groups) {
    for (const RespCommand& command : group.commands) all.emplace_back(command).group = group.name;
  }
  std::sort(all.begin(), all.end(),
            [](const RespCommand& a, const RespCommand& b) { return a.name < b.name; });
  return all;
}

const RespCommand* find_whole_command(std::string_view name) {
  static const auto by_name = [] {
    std::unordered_map<std::string_view, const RespCommand*> map;
    for (const RespCommand& command : resp_commands()) map.emplace(command.name, &command);
    return map;
  }();
  constexpr size_t name_bytes_max = 32;
  if (name.size() > name_bytes_max) return nullptr;
  auto found = by_name.find(lower_case(name));
  return found == by_name.end() ? nullptr : found->second;
}

const RespCommand* find_subcommand(const RespCommand& command, std::string_view word) {
  for (const RespCommand& one : command.subcommands_or_none()) {
    if (is_option(word, one.name.substr(command.name.size() + 1))) return &one;
  }
  return nullptr;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

std::string upper_case(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper;
}

std::string_view told(std::string_view word, size_t bytes_max) {
  return word.substr(0, std::min(word.find('\0'), bytes_max));
}

bool is_option(std::string_view word, std::string_view name) {
  return std::equal(word.begin(), word.end(), name.begin(), name.end(),
                    [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

std::span<const RespCommand> resp_commands() {
  static const std::vector<RespCommand> all = all_commands();
  return all;
}

std::span<const RespCommand> RespCommand::subcommands_or_none() const {
  return subcommands == nullptr ? std::span<const RespCommand>() : subcommands();
}

std::string_view group_of(const RespCommand& command) {
  if (!command.group.empty()) return command.group;
  return find_resp_command(command.name.substr(0, command.name.find('|')))->group;
}

const RespCommand* find_resp_command(std::string_view name) {
  const size_t bar = name.find('|');
  const RespCommand* command = find_whole_command(name.substr(0, bar));
  if (bar == std::string_view::npos || command == nullptr) return command;
  return find_subcommand(*command, name.substr(bar + 1));
}

const RespCommand* find_resp_command(std::span<const std::string> words) {
  const RespCommand* command = find_whole_command(words.front());
  if (command == nullptr || command->subcommands == nullptr || words.size() == 1) return command;
  const RespCommand* subcommand = find_subcommand(*command, words[1]);
  return subcommand == nullptr ? command : subcommand;
}

std::optional<std::string> check_resp_words(const RespCommand* command, const std::vector<std::string>& words,
                                            bool authenticated) {
  if (command == nullptr) return unknown_command(words);
  if (command->subcommands != nullptr && words.size() > 1) return unknown_subcommand(*command, words[1]);
  if (!command->fits(words.size()))
    return "ERR wrong number of arguments for '" + std::string(command->name) + "' command";
  if (!authenticated && !command->before_authentication) return "NOAUTH Authentication required.";
  return std::nullopt;
}

}  // namespace covey::server
