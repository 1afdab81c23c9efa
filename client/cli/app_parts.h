// What the files that spell commands share. Includes CLI11: only app*.cpp include it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "client/cli/commands.h"
#include "client/encoding.h"

namespace covey::cli {

inline constexpr const char* read_help = "replicas that must answer the read: one, quorum, all or a number";

// One parse of a command line: the settings that it gives and the command that it chose.
struct Parse {
  Session& session;
  Settings settings;
  std::function<int()> chosen;
};

void add_key_commands(CLI::App& app, Parse& parse);   // get put del siblings resolve scan
void add_type_commands(CLI::App& app, Parse& parse);  // incr sadd srem smembers hset hget hgetall hdel hincr
void add_bulk_commands(CLI::App& app, Parse& parse);  // import export bench
void add_agg_command(CLI::App& app, Parse& parse);    // agg
void add_cluster_commands(CLI::App& app, Parse& parse);  // cluster backup explain tables table

// A command whose options are filled into a Command, kept as long as the parser.
template <class Command>
struct Added {
  CLI::App* app;
  std::shared_ptr<Command> options;
};
template <class Command>
Added<Command> add_command(CLI::App& parent, Parse& parse, const std::string& name, const std::string& help,
                           const std::string& example) {
  auto options = std::make_shared<Command>();
  CLI::App* app = parent.add_subcommand(name, help);
  app->footer("Example:\n  " + example);
  app->final_callback(
      [&parse, options] { parse.chosen = [&parse, options] { return run(parse.session, *options); }; });
  return {app, options};
}

inline CLI::Option* add_key(CLI::App* app, std::string& key) {
  return app->add_option("KEY", key, "1 to 2,048 bytes")
      ->required()
      ->check(
          [](const std::string& text) {
            return text.empty() || text.size() > 2048 ? std::string("a key has 1 to 2,048 bytes")
                                                      : std::string();
          },
          "");
}

// For check(): what is wrong with the text; empty: nothing.
inline std::string at_least_one(const std::string& text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  const bool positive = digits && text.find_first_not_of('0') != std::string::npos;
  return positive ? std::string() : "\"" + text + "\" is not a whole number from 1";
}

inline CLI::Option* add_level(CLI::App* app, const std::string& names, std::string& level,
                              const std::string& help) {
  return app->add_option(names, level, help)
      ->type_name("LEVEL")
      ->check(
          [](const std::string& text) {
            return client::valid_level(text)
                       ? std::string()
                       : "\"" + text + "\" is no level: say one, quorum, all or a number of replicas from 1";
          },
          "");
}

template <class Target>
CLI::Option* add_duration(CLI::App* app, const std::string& names, Target& target, const std::string& help) {
  return app
      ->add_option_function<std::string>(
          names,
          [&target, names](const std::string& text) {
            const auto duration = client::parse_duration(text);
            if (!duration || duration->count() < 1) {
              throw CLI::ValidationError(names,
                                         "\"" + text + "\" is no duration: say 250ms, 10s, 5m, 2h or 1d");
            }
            target = *duration;
          },
          help)
      ->type_name("TIME");
}

}  // namespace covey::cli
