#include "client/cli/app_parts.h"

namespace covey::cli {
namespace {

constexpr const char* write_help = "replicas that must acknowledge the write: one, quorum, all or a number";
constexpr const char* context_read_help =
    "level of the read that finds the context (as a rule one with -w one, else the node's default)";

template <class Command>
void add_context_options(const Added<Command>& command) {
  auto& options = *command.options;
  add_level(command.app, "-w,--write", options.level, write_help);
  add_level(command.app, "-r,--read", options.read_level, context_read_help);
  auto* context =
      command.app->add_option("--context", options.context, "of an earlier read; nothing is read first");
  command.app->add_flag("--blind", options.blind, "no context: concurrent with whatever is there")
      ->excludes(context);
}

void add_put(CLI::App& app, Parse& parse) {
  const auto put = add_command<PutCommand>(app, parse, "put", "Write a value, overwriting what it sees",
                                           "covey put cart:7 '{\"items\": 2}' -w quorum --ttl 10m");
  add_key(put.app, put.options->key);
  put.app->add_option("VALUE", put.options->value, "the value; - reads it from standard input")->required();
  add_context_options(put);
  add_duration(put.app, "--ttl", put.options->ttl, "the value expires so long after the write");
  put.app->add_option("--content-type", put.options->content_type,
                      "instead of JSON, text or bytes by its looks");
  put.app->add_flag("--if-absent", put.options->only_if_absent,
                    "only if the coordinating replica holds no value (exit 1 otherwise)");
}

void add_resolve(CLI::App& app, Parse& parse) {
  const auto resolve =
      add_command<ResolveCommand>(app, parse, "resolve", "Replace siblings by one of them, or by a new value",
                                  "covey resolve cart:7 --pick n1.7f3a:42");
  add_key(resolve.app, resolve.options->key);
  auto* choice = resolve.app->add_option_group("choice", "what remains");
  choice->add_option("--pick", resolve.options->pick, "the dot of the sibling that remains");
  choice->add_option("--value", resolve.options->value,
                     "the value that replaces them; - reads standard input");
  choice->require_option(1);
  add_level(resolve.app, "-w,--write", resolve.options->level, write_help);
  add_level(resolve.app, "-r,--read", resolve.options->read_level, read_help);
}

}  // namespace

void add_key_commands(CLI::App& app, Parse& parse) {
  const auto get = add_command<GetCommand>(
      app, parse, "get", "Read a key (exit 3: not found; 5: siblings, all of which are printed)",
      "covey get cart:7 -r quorum");
  add_key(get.app, get.options->key);
  add_level(get.app, "-r,--read", get.options->level, read_help);
  get.app->add_flag("--raw", get.options->raw, "the value's bytes alone, no line feed added");

  add_put(app, parse);

  const auto del = add_command<DelCommand>(app, parse, "del", "Delete what it sees under a key",
                                           "covey del cart:7 -w all");
  add_key(del.app, del.options->key);
  add_context_options(del);

  const auto siblings = add_command<SiblingsCommand>(app, parse, "siblings",
                                                     "Show every version of a key with its dot and time",
                                                     "covey siblings cart:7 --output json");
  add_key(siblings.app, siblings.options->key);
  add_level(siblings.app, "-r,--read", siblings.options->level, read_help);

  add_resolve(app, parse);

  const auto scan = add_command<ScanCommand>(app, parse, "scan", "List keys in order with their values",
                                             "covey scan cart: --limit 20");
  scan.app->add_option("PREFIX", scan.options->prefix, "only keys that begin so");
  scan.app->add_option("--start", scan.options->start, "the first key");
  scan.app->add_option("--limit", scan.options->limit, "at most so many keys")->check(at_least_one, "");
  scan.app->add_flag("--keys-only", scan.options->keys_only, "no values");
  add_level(scan.app, "-r,--read", scan.options->level, read_help);
}

}  // namespace covey::cli
