#include "server/resp_docs.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "server/resp_arguments.h"

namespace covey::server {
namespace {

void write_list(RespReply& reply, std::initializer_list<std::pair<bool, std::string_view>> words) {
  reply.set(
      static_cast<size_t>(std::count_if(words.begin(), words.end(), [](auto& one) { return one.first; })));
  for (const auto& [is_there, word] : words) {
    if (is_there) reply.simple(word);
  }
}

void write_arguments(RespReply& reply, const std::vector<RespArgument>& arguments) {
  reply.array(arguments.size());
  for (const RespArgument& one : arguments) {
    const bool flagged = one.optional || one.multiple;
    reply.map(2 + size_t{one.type == "key"} + size_t{!one.token.empty()} + size_t{flagged} +
              size_t{!one.parts.empty()});
    reply.bulk("name");
    reply.bulk(one.name);
    reply.bulk("type");
    reply.bulk(one.type);
    if (one.type == "key") {
      reply.bulk("key_spec_index");
      reply.integer(0);
    }
    if (!one.token.empty()) {
      reply.bulk("token");
      reply.bulk(one.token);
    }
    if (flagged) {
      reply.bulk("flags");
      write_list(reply, {{one.optional, "optional"}, {one.multiple, "multiple"}});
    }
    if (!one.parts.empty()) {
      reply.bulk("arguments");
      write_arguments(reply, one.parts);
    }
  }
}

// Of COMMAND INFO: where the keys are.
void write_key_specs(RespReply& reply, const RespCommand& command) {
  reply.array(command.first_key == 0 ? 0 : 1);
  if (command.first_key == 0) return;
  reply.map(3);
  reply.bulk("flags");
  write_list(reply, {{command.writes, "RW"}, {!command.writes, "RO"}});
  reply.bulk("begin_search");
  reply.map(2);
  reply.bulk("type");
  reply.bulk("index");
  reply.bulk("spec");
  reply.map(1);
  reply.bulk("index");
  reply.integer(command.first_key);
  reply.bulk("find_keys");
  reply.map(2);
  reply.bulk("type");
  reply.bulk("range");
  reply.bulk("spec");
  reply.map(3);
  reply.bulk("lastkey");
  reply.integer(command.last_key < 0 ? command.last_key : command.last_key - command.first_key);
  reply.bulk("keystep");
  reply.integer(command.key_step);
  reply.bulk("limit");
  reply.integer(0);
}

}  // namespace

std::vector<std::string> categories_of(const RespCommand& command) {
  std::vector<std::string> out;
  if (command.run == nullptr) return out;
  if (command.writes || command.reads()) out.emplace_back(command.writes ? "@write" : "@read");
  const std::string_view group = group_of(command);
  if (group == "generic") {
    out.emplace_back("@keyspace");
  } else if (group != "server" && group != "covey") {
    out.push_back("@" + std::string(group));
  }
  return out;
}

void write_command_info(RespReply& reply, const RespCommand& command) {
  reply.array(10);
  reply.bulk(command.name);
  reply.integer(command.arity);
  write_list(
      reply,
      {{command.writes, "write"}, {command.reads(), "readonly"}, {command.before_authentication, "no_auth"}});
  reply.integer(command.first_key);
  reply.integer(command.last_key);
  reply.integer(command.key_step);
  const auto categories = categories_of(command);
  reply.set(categories.size());
  for (const std::string& category : categories) reply.simple(category);
  reply.array(0);  // tips
  write_key_specs(reply, command);
  const auto subcommands = command.subcommands_or_none();
  reply.array(subcommands.size());
  for (const RespCommand& one : subcommands) write_command_info(reply, one);
}

void write_command_docs(RespReply& reply, const RespCommand& command) {
  const auto subcommands = command.subcommands_or_none();
  const auto arguments = parse_arguments(command.docs.arguments);
  reply.map(4 + size_t{!arguments.empty()} + size_t{!subcommands.empty()});
  reply.bulk("summary");
  reply.bulk(command.docs.summary);
  reply.bulk("since");
  reply.bulk(command.docs.since);
  reply.bulk("group");
  reply.bulk(group_of(command));
  reply.bulk("complexity");
  reply.bulk(command.docs.complexity);
  if (!arguments.empty()) {
    reply.bulk("arguments");
    write_arguments(reply, arguments);
  }
  if (subcommands.empty()) return;
  reply.bulk("subcommands");
  reply.map(subcommands.size());
  for (const RespCommand& one : subcommands) {
    reply.bulk(one.name);
    write_command_docs(reply, one);
  }
}

void subcommand_help(RespCall& call) {
  const RespCommand* command = find_resp_command(std::string_view(call.words[0]));
  const auto subcommands = command->subcommands_or_none();
  call.reply().array(1 + 2 * subcommands.size());
  call.reply().simple(upper_case(command->name) + " <subcommand> [<argument> ...]. Subcommands are:");
  for (const RespCommand& one : subcommands) {
    call.reply().simple(upper_case(one.name.substr(command->name.size() + 1)));
    call.reply().simple("    " + std::string(one.docs.summary));
  }
  call.done();
}

}  // namespace covey::server
