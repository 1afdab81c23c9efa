// covey-bench: starts covey and its peers, loads them in turns with the same generator, and prints what came
// out.
#include <CLI/CLI.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "tests/bench/convergence.h"
#include "tests/bench/process.h"
#include "tests/bench/report.h"
#include "tests/bench/restart.h"
#include "tests/bench/throughput.h"
#include "tests/bench/trial.h"

namespace {

using namespace covey::bench;
namespace fs = std::filesystem;

const std::vector<std::string> all_parts = {"throughput", "columns", "convergence", "memory",
                                            "filling",    "restart", "contention",  "tail"};
const std::vector<std::string> all_durabilities = {"sync", "interval", "none"};

void add_options(CLI::App& app, Options& options) {
  app.add_option(
         "--part", options.parts,
         "What to measure: throughput, columns, convergence, memory, filling, restart, contention, tail")
      ->delimiter(',')
      ->check(CLI::IsMember(all_parts));
  app.add_option("--nodes", options.nodes, "Clusters for throughput: 1, 3")
      ->delimiter(',')
      ->check(CLI::IsMember({1, 3}));
  app.add_option("--durability", options.durabilities, "sync, interval, none")
      ->delimiter(',')
      ->check(CLI::IsMember(all_durabilities));
  app.add_option("--pipeline", options.pipelines, "Requests that a connection sends together")
      ->delimiter(',')
      ->check(CLI::Range(1, 1000));
  app.add_option("--peers", options.peers,
                 "Whom to compare with: redis, redis-benchmark, keydb, etcd, rocksdb, none")
      ->delimiter(',')
      ->check(CLI::IsMember({"redis", "redis-benchmark", "keydb", "etcd", "rocksdb", "none"}));
  app.add_flag("!--no-http", options.http, "Ask covey over the Redis protocol alone");
  app.add_option("--connections", options.connections)->capture_default_str()->check(CLI::Range(1, 10'000));
  app.add_option("--value-bytes", options.value_bytes)
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--keys", options.keys)->capture_default_str()->check(CLI::Range(1, 1'000'000'000));
  app.add_option("--rounds", options.rounds)->capture_default_str()->check(CLI::Range(1, 100));
  app.add_option("--seconds", options.seconds, "Of each measurement")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 3600.0));
  app.add_option("--threads", options.threads, "Of each coveyd")
      ->capture_default_str()
      ->check(CLI::Range(1, 64));
  app.add_option("--coveyd", options.coveyd,
                 "The server to measure; the one beside this program if not given");
  app.add_option("--directory", options.directory, "Where the servers' data goes and is removed again")
      ->capture_default_str();
  app.add_option("--markdown", options.markdown, "Write the results to this file, too");
  app.footer("Example: covey-bench --part throughput --nodes 1 --durability sync");
}

std::string utc_date() {
  char text[32];
  const std::time_t now = std::time(nullptr);
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", std::gmtime(&now));
  return text;
}

std::vector<std::string> peer_versions(const Options& options) {
  const TemporaryDirectory directory(options.directory);
  std::vector<std::string> versions;
  const auto first_line = [&](const char* program, const char* peer) {
    if (!options.wants(options.peers, peer) || !find_program(program)) return;
    const std::string text = output_of({program, "--version"}, directory.path());
    versions.push_back(text.substr(0, text.find('\n')));
  };
  first_line("redis-server", "redis");
  first_line("keydb-server", "keydb");
  first_line("etcd", "etcd");
  return versions;
}

int run(Options& options) {
  if (options.coveyd.empty())
    options.coveyd = (fs::read_symlink("/proc/self/exe").parent_path() / "coveyd").string();
  if (!fs::exists(options.coveyd)) {
    std::cerr << "covey-bench: there is no " << options.coveyd
              << ": build coveyd, or name it with --coveyd\n";
    return 2;
  }
  Results results;
  results.date = utc_date();
  results.machine = describe_machine(options.directory);
  results.versions = peer_versions(options);
  if (options.wants(options.parts, "throughput")) results.throughput = measure_throughput(options);
  if (options.wants(options.parts, "columns")) results.columns = measure_columns(options);
  if (options.wants(options.parts, "convergence")) results.convergence = measure_convergence(options);
  if (options.wants(options.parts, "memory")) results.memory = measure_memory(options);
  if (options.wants(options.parts, "filling")) results.filling = measure_filling(options);
  if (options.wants(options.parts, "restart")) results.restart = measure_restart(options);
  if (options.wants(options.parts, "contention")) results.contention = measure_contention(options);
  if (options.wants(options.parts, "tail")) results.tail = measure_tail(options);
  const std::string text = to_markdown(options, results);
  std::cout << text;
  if (options.markdown.empty()) return 0;
  std::ofstream out(options.markdown);
  out << text;
  out.close();
  if (out) return 0;
  std::cerr << "covey-bench: cannot write " << options.markdown << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.directory = fs::temp_directory_path().string();
  options.command = "covey-bench";
  for (int i = 1; i < argc; ++i) options.command.append(" ").append(argv[i]);
  CLI::App app("Measures covey beside redis, KeyDB, etcd and RocksDB, all started by itself on this machine.",
               "covey-bench");
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  try {
    return run(options);
  } catch (const std::exception& failure) {
    std::cerr << "covey-bench: " << failure.what() << "\n";
    return 1;
  }
}
