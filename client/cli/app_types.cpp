#include <nlohmann/json.hpp>

#include "client/cli/app_parts.h"

namespace covey::cli {
namespace {

constexpr const char* change_help = "replicas that must acknowledge the change: one, quorum, all or a number";

template <class Command>
void add_change_options(const Added<Command>& command) {
  add_level(command.app, "-w,--write", command.options->level, change_help);
  add_duration(command.app, "--ttl", command.options->ttl, "the key expires so long after the change");
}

void add_by(CLI::App* app, std::string& by) {
  app->add_option("BY", by, "what to add: 1 if it is left out; for less than nothing put -- before it")
      ->check(
          [](const std::string& text) {
            const auto number = nlohmann::json::parse(text, nullptr, false);
            return number.is_number() ? std::string() : "\"" + text + "\" is not a number";
          },
          "");
}

void add_elements(CLI::App& app, Parse& parse, const std::string& op, const std::string& help,
                  const std::string& example, const std::string& names) {
  const auto command = add_command<ElementsCommand>(app, parse, op, help, example);
  command.options->op = op;
  add_key(command.app, command.options->key);
  command.app->add_option(names, command.options->names, "one or more")->required();
  add_change_options(command);
}

void add_counters(CLI::App& app, Parse& parse) {
  const auto incr = add_command<IncrementCommand>(app, parse, "incr", "Add to a counter and print its value",
                                                  "covey incr visits 5 --token 7f3a-11");
  add_key(incr.app, incr.options->key);
  add_by(incr.app, incr.options->by);
  incr.app->add_option("--token", incr.options->token,
                       "counts once though it be sent again, within an hour; 1 to 128 bytes of your choice");
  add_change_options(incr);

  const auto hincr = add_command<IncrementCommand>(
      app, parse, "hincr", "Add to a field of a hash and print its value", "covey hincr user:7 logins");
  add_key(hincr.app, hincr.options->key);
  hincr.app->add_option("FIELD", hincr.options->field, "its name")->required();
  add_by(hincr.app, hincr.options->by);
  add_change_options(hincr);
}

void add_fields(CLI::App& app, Parse& parse) {
  const auto hset = add_command<SetFieldsCommand>(app, parse, "hset", "Set fields of a hash",
                                                  "covey hset user:7 name Ada city London");
  add_key(hset.app, hset.options->key);
  hset.app->add_option("FIELD VALUE", hset.options->pairs, "pairs of a field's name and its value")
      ->required()
      ->type_size(2)
      ->expected(1, 1'000'000);
  add_change_options(hset);

  const auto hget = add_command<FieldsCommand>(
      app, parse, "hget", "Read one field of a hash (exit 3: not found)", "covey hget user:7 name");
  add_key(hget.app, hget.options->key);
  hget.app->add_option("FIELD", hget.options->field, "its name")->required();
  add_level(hget.app, "-r,--read", hget.options->level, read_help);

  const auto hgetall = add_command<FieldsCommand>(app, parse, "hgetall", "Read all fields of a hash",
                                                  "covey hgetall user:7 --output json");
  add_key(hgetall.app, hgetall.options->key);
  add_level(hgetall.app, "-r,--read", hgetall.options->level, read_help);
}

}  // namespace

void add_type_commands(CLI::App& app, Parse& parse) {
  add_counters(app, parse);
  add_elements(app, parse, "sadd", "Add elements to a set", "covey sadd team ada grace", "MEMBERS");
  add_elements(app, parse, "srem", "Remove elements from a set", "covey srem team grace", "MEMBERS");
  const auto smembers = add_command<MembersCommand>(
      app, parse, "smembers", "Print the elements of a set, one a line", "covey smembers team -r quorum");
  add_key(smembers.app, smembers.options->key);
  add_level(smembers.app, "-r,--read", smembers.options->level, read_help);
  add_fields(app, parse);
  add_elements(app, parse, "hdel", "Delete fields of a hash", "covey hdel user:7 city", "FIELDS");
}

}  // namespace covey::cli
