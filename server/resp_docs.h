// What COMMAND DOCS, COMMAND INFO and the HELP of a command with subcommands tell, out of the table that
// commands are run by.
#pragma once

#include <string>
#include <vector>

#include "server/resp_commands.h"

namespace covey::server {

void write_command_info(RespReply& reply, const RespCommand& command);
void write_command_docs(RespReply& reply, const RespCommand& command);
// "@write", "@hash": what it does and what it is about. None where only its subcommands do something.
std::vector<std::string> categories_of(const RespCommand& command);

// CLIENT HELP and the like.
void subcommand_help(RespCall& call);
inline constexpr RespDocs help_docs = {"5.0.0", "O(1)", "", "What the subcommands do."};

}  // namespace covey::server
