#include "server/resp_commands.h"

#include <algorithm>
#include <cctype>
#include <unordered_map>

namespace covey::server {
namespace {

constexpr size_t told_bytes_max = 128;  // of a command that is not known, and of its words: as in Redis

std::string unknown_command(const std::vector<std::string>& words) {
  std::string told;
  for (size_t i = 1; i < words.size() && told.size() < told_bytes_max; ++i) {
    const size_t room = told_bytes_max - told.size();
    told.append("'").append(words[i].substr(0, room)).append("' ");
  }
  return "ERR unknown command '" + words[0].substr(0, told_bytes_max) +
         "', with args beginning with: " + told;
}

std::vector<RespCommand> all_commands() {
  std::vector<RespCommand> all;
  for (auto group : {resp_session_commands(), resp_server_commands(), resp_string_commands(),
                     resp_key_commands(), resp_scan_commands(), resp_covey_commands(),
                     resp_counter_commands(), resp_set_commands(), resp_hash_commands()}) {
    all.insert(all.end(), group.begin(), group.end());
  }
  std::sort(all.begin(), all.end(),
            [](const RespCommand& a, const RespCommand& b) { return a.name < b.name; });
  return all;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

bool is_option(std::string_view word, std::string_view name) {
  return std::equal(word.begin(), word.end(), name.begin(), name.end(),
                    [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

std::span<const RespCommand> resp_commands() {
  static const std::vector<RespCommand> all = all_commands();
  return all;
}

const RespCommand* find_resp_command(std::string_view name) {
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

std::optional<std::string> check_resp_words(const RespCommand* command, const std::vector<std::string>& words,
                                            bool authenticated) {
  if (command == nullptr) return unknown_command(words);
  const int count = static_cast<int>(words.size());
  if (command->arity > 0 ? count != command->arity : count < -command->arity)
    return "ERR wrong number of arguments for '" + std::string(command->name) + "' command";
  if (!authenticated && !command->before_authentication) return "NOAUTH Authentication required.";
  return std::nullopt;
}

}  // namespace covey::server
