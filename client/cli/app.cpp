#include "client/cli/app.h"

#include <iostream>

#include "client/cli/app_parts.h"

namespace covey::cli {
namespace {

constexpr const char* exit_codes =
    "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 unavailable or timed out, 5 siblings.\n"
    "Nodes come from --node, else from COVEY_NODES (separated by commas or blanks), else 127.0.0.1:7101;\n"
    "the next one is tried when one does not answer. \"covey COMMAND --help\" tells each command's options.";

void add_settings(CLI::App& app, Settings& settings) {
  app.add_option("--node", settings.nodes, "a node's HTTP address; may be repeated")
      ->type_name("HOST:PORT")
      ->allow_extra_args(false);
  app.add_option("--table", settings.table, "the table (" + settings.table + ")")->type_name("NAME");
  app.add_option_function<std::string>(
         "--output", [&settings](const std::string& text) { settings.json = text == "json"; },
         "text or json (one line for each result; errors as JSON too)")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("FORM");
  add_duration(&app, "--timeout", settings.timeout, "time limit of each request (the node's default)");
  app.add_flag_callback(
      "--sloppy", [&settings] { settings.sloppy = true; },
      "stand-ins may take part (else as the node is configured)");
  app.add_flag_callback(
      "--no-sloppy", [&settings] { settings.sloppy = false; }, "only owners may take part");
}

// The whole command line's grammar; `parse` must live as long as the result.
std::unique_ptr<CLI::App> make_app(Parse& parse, bool in_shell) {
  auto app = std::make_unique<CLI::App>("covey: a replicated key-value store that is always writable",
                                        in_shell ? "" : "covey");
  app->set_version_flag("--version", "covey " COVEY_VERSION);
  app->fallthrough();
  app->require_subcommand(1, 1);
  app->footer(exit_codes);
  app->get_formatter()->column_width(36);
  add_settings(*app, parse.settings);
  add_key_commands(*app, parse);
  add_type_commands(*app, parse);
  add_bulk_commands(*app, parse);
  add_agg_command(*app, parse);
  add_cluster_commands(*app, parse);
  if (!in_shell) {
    add_command<ShellCommand>(*app, parse, "shell",
                              "Type commands one after another, with history and completion",
                              "covey --table readings shell");
  }
  return app;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_name().empty(); });
}

const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : commands_of(app)) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

}  // namespace

int run_command_line(Session& session, std::vector<std::string> arguments, bool in_shell) {
  const Settings before = session.settings();
  Parse parse{session, before, {}};
  const auto app = make_app(parse, in_shell);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app->parse(std::move(arguments));
  } catch (const CLI::ParseError& problem) {
    if (app->get_subcommands().empty() && !app->remaining().empty()) {
      std::cerr << "covey: \"" << app->remaining().front()
                << "\" is no command or option; --help lists them\n";
      return exit_usage;
    }
    return app->exit(problem, std::cout, std::cerr) == 0 ? exit_done : exit_usage;
  }
  session.set(parse.settings);
  const int code = parse.chosen();
  session.set(before);
  return code;
}

std::vector<std::string> command_names(const std::string& parent) {
  Session session{Settings{}};
  Parse parse{session, {}, {}};
  const auto app = make_app(parse, true);
  const CLI::App* command = parent.empty() ? app.get() : find_command(*app, parent);
  std::vector<std::string> names;
  if (!command) return names;
  for (const CLI::App* child : commands_of(*command)) names.push_back(child->get_name());
  return names;
}

std::vector<std::string> option_names(const std::string& command) {
  Session session{Settings{}};
  Parse parse{session, {}, {}};
  const auto app = make_app(parse, true);
  std::vector<std::string> names;
  const auto add_all = [&](const CLI::App& of) {
    for (const CLI::Option* option : of.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  };
  add_all(*app);
  if (const CLI::App* found = find_command(*app, command)) add_all(*found);
  return names;
}

}  // namespace covey::cli
