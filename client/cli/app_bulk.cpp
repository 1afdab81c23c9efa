#include "client/cli/app_parts.h"

namespace covey::cli {
namespace {

void add_import(CLI::App& app, Parse& parse) {
  const auto command = add_command<ImportCommand>(
      app, parse, "import", "Write the lines of a JSON Lines or CSV file",
      "covey --table readings import readings.csv --key id --resume readings.position\n\n"
      "A JSON line is an export's: {\"key\": \"a\", \"value\": JSON} (or key_base64, value_base64 with "
      "content_type,\n"
      "siblings); with --key FIELD it is any object, and that member's text is its key. A CSV file has a "
      "header row;\n"
      "its rows become objects with numbers where the fields are numbers; empty fields are left out.\n"
      "Like put, it overwrites what it sees, so it may be run again (unless it is --blind). Lines that fail\n"
      "do not stop the rest; the first 20 are told with their numbers. What was refused for the moment\n"
      "(overloaded, unavailable), and a read that took too long, is tried up to 5 times; a write whose\n"
      "outcome is unknown is not.");
  ImportCommand& options = *command.options;
  command.app->add_option("FILE", options.file, "- is standard input")->required();
  command.app->add_option("--format", options.format, "instead of by the file's name")
      ->check(CLI::IsMember({"jsonl", "csv"}));
  command.app->add_option("--key", options.key_field, "the member or column that is the key")
      ->type_name("FIELD");
  add_level(command.app, "-w,--write", options.level, "replicas that must acknowledge each write");
  add_duration(command.app, "--ttl", options.ttl, "the values expire so long after their writes");
  command.app->add_flag("--blind", options.blind,
                        "read no contexts: faster, and concurrent with what is there");
  command.app->add_option("--from-line", options.from_line, "skip the lines before")->check(at_least_one, "");
  command.app->add_option("--resume", options.resume_file,
                          "keep the position in this file, and go on from it if it is there");
  command.app->add_option("--parallel", options.parallel, "batches in flight, 1 to 64")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
}

void add_bench(CLI::App& app, Parse& parse) {
  const auto command =
      add_command<BenchCommand>(app, parse, "bench", "Load the cluster and print rates and latencies",
                                "covey bench --ops 200000 --clients 32 --read-share 0.9 -w quorum");
  BenchCommand& options = *command.options;
  command.app->add_option("--ops", options.operations, "operations in all")
      ->check(at_least_one, "")
      ->capture_default_str();
  command.app->add_option("--clients", options.clients, "connections, each with a thread, 1 to 1000")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.app->add_option("--keys", options.keys, "keys in all, at least one a request in flight")
      ->check(at_least_one, "")
      ->capture_default_str();
  command.app->add_option("--value-bytes", options.value_bytes, "size of each value, up to 64 MiB")
      ->check(CLI::Range(0, 64 << 20))
      ->capture_default_str();
  command.app->add_option("--read-share", options.read_share, "reads among the operations, 0 to 1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  add_level(command.app, "-r,--read", options.read_level, "level of the reads");
  add_level(command.app, "-w,--write", options.write_level, "level of the writes");
  command.app->add_option("--pipeline", options.pipeline, "requests in flight on each connection, 1 to 1000")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.app->add_option("--seed", options.seed, "of the choice of keys and operations")
      ->capture_default_str();
  command.app->add_flag("--preload,!--no-preload", options.preload,
                        "write every key once before (the default)");
}

}  // namespace

void add_bulk_commands(CLI::App& app, Parse& parse) {
  add_import(app, parse);
  const auto command =
      add_command<ExportCommand>(app, parse, "export", "Print every key as the lines that import reads back",
                                 "covey --table readings export > readings.jsonl\n\n"
                                 "Values, content types and siblings come back as they were. Dots, contexts "
                                 "and expiry times are not exported.");
  command.app->add_option("PREFIX", command.options->prefix, "only keys that begin so");
  command.app->add_option("--out", command.options->out, "a file instead of standard output");
  add_level(command.app, "-r,--read", command.options->level, "replicas that must answer the scan");
  add_bench(app, parse);
}

}  // namespace covey::cli
