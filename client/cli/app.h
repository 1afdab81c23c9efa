// How commands and options are spelled, and their help.
#pragma once

#include <string>
#include <vector>

#include "client/cli/session.h"

namespace covey::cli {

// Runs one command line (without the program's name) and returns its exit code. Options that are not given
// keep the session's settings, as they were before the call.
int run_command_line(Session& session, std::vector<std::string> arguments, bool in_shell);

// The commands, or the commands under one ("cluster", "table"), for completion; and a command's options.
std::vector<std::string> command_names(const std::string& parent = {});
std::vector<std::string> option_names(const std::string& command);

}  // namespace covey::cli
