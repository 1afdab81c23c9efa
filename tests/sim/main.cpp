// covey-sim: seeded simulations of whole clusters, and scenario files (docs/simulator.md).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <random>

#include "replication/bugs.h"
#include "tests/sim/failure.h"
#include "tests/sim/generate.h"
#include "tests/sim/measure.h"
#include "tests/sim/shrink.h"
#include "tests/sim/summary.h"
#include "tests/sim/text.h"
#include "tests/sim/workers.h"

namespace covey::sim {
namespace {

struct Options {
  std::string seed = "1";
  uint64_t runs = 1;
  size_t jobs = 1;
  uint32_t nodes = 0;
  std::string time;
  std::string faults = "all";
  std::vector<std::string> scenarios;
  std::string report;
  std::string output = "text";
  std::string bug_name;
  bool measure = false;
  bool find = false;
  bool print_scenario = false;
  bool trace = false;
  bool demand_coverage = false;
  bool keep_going = false;
  unsigned shrink_seconds = 60;
};

GenerateOptions generate_options(const Options& options, uint64_t seed) {
  GenerateOptions out;
  out.seed = seed;
  if (options.nodes > 0) out.nodes = options.nodes;
  if (!options.time.empty()) out.time_us = parse_duration_us(options.time);
  if (options.faults == "all") return out;
  static const std::set<std::string> known = {"partition", "network",    "crash", "clock",
                                              "disk",      "membership", "none"};
  out.faults.clear();
  std::string rest = options.faults;
  while (!rest.empty()) {
    std::string kind = rest.substr(0, rest.find(','));
    rest.erase(0, kind.size() + 1);
    if (!known.contains(kind))
      throw ScenarioError("--faults: '" + kind +
                          "' is none of partition, network, crash, clock, disk, membership, all, none");
    out.faults.insert(kind);
  }
  return out;
}

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw ScenarioError("can't read " + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

void name_failure(const std::string& again, const Outcome& outcome) {
  std::printf("FAILED: %s\nagain: %s\n", outcome.what.c_str(), again.c_str());
}

// What standard output ends with when a promise was broken.
void report_failure(const std::string& again, const std::vector<std::string>& lines, const Outcome& outcome,
                    const Options& options) {
  std::printf("\n");
  name_failure(again, outcome);
  std::fflush(stdout);
  Shrunk shrunk = shrink(lines, outcome, options.jobs, options.shrink_seconds);
  std::printf("the shortest scenario found (%zu tries), which fails with: %s\n", shrunk.tries,
              shrunk.outcome.what.c_str());
  for (const auto& line : shrunk.lines) std::printf("  %s\n", line.c_str());
  name_failure(again, outcome);
}

int run_scenarios(const Options& options) {
  std::vector<std::vector<std::string>> scenarios;
  for (const auto& path : options.scenarios) scenarios.push_back(read_lines(path));
  int status = 0;
  Summary summary(options.output == "json", false);
  run_in_workers(
      scenarios.size(), {.processes = options.jobs, .traced = options.trace || !options.report.empty()},
      [&](size_t i) { return scenarios[i]; },
      [&](size_t i, const Outcome& outcome) {
        if (options.trace)
          for (const auto& line : outcome.trace) std::printf("%s\n", line.c_str());
        for (const auto& [label, shown] : outcome.labelled)
          std::printf("  %s: %s\n", label.c_str(), shown.c_str());
        summary.run(options.scenarios[i], outcome);
        if (!options.report.empty()) write_report(options.report, options.scenarios[i], outcome);
        if (outcome.failed) {
          std::printf("FAILED: %s: %s\n", options.scenarios[i].c_str(), outcome.what.c_str());
          status = outcome.unreadable ? 2 : 1;
        }
        return true;
      });
  summary.end();
  return status;
}

int run_seeds(const Options& options) {
  uint64_t first = options.seed == "fresh" ? std::random_device{}() : parse_number(options.seed);
  if (options.print_scenario) {
    for (const auto& line : generate(generate_options(options, first))) std::printf("%s\n", line.c_str());
    return 0;
  }
  Summary summary(options.output == "json", options.demand_coverage);
  std::string common = options.faults == "all" ? "" : " --faults " + options.faults;
  if (options.nodes > 0) common += " --nodes " + std::to_string(options.nodes);
  if (!options.time.empty()) common += " --time " + options.time;
  if (!options.bug_name.empty()) common += " --bug " + options.bug_name;
  std::optional<std::pair<uint64_t, Outcome>> failed;
  auto again = [&](uint64_t seed) { return "covey-sim --seed " + std::to_string(seed) + common; };
  run_in_workers(
      options.runs, {.processes = options.jobs, .traced = options.trace || !options.report.empty()},
      [&](size_t i) { return generate(generate_options(options, first + i)); },
      [&](size_t i, const Outcome& outcome) {
        if (options.trace)
          for (const auto& line : outcome.trace) std::printf("%s\n", line.c_str());
        summary.run("seed " + std::to_string(first + i), outcome);
        if (!options.report.empty())
          write_report(options.report, "seed " + std::to_string(first + i), outcome);
        if (!outcome.failed) return true;
        failed = {first + i, outcome};
        if (options.keep_going) name_failure(again(first + i), outcome);
        return options.keep_going;
      });
  if (failed) {
    if (options.keep_going) {
      summary.end();
      return 1;
    }
    report_failure(again(failed->first), generate(generate_options(options, failed->first)), failed->second,
                   options);
    return 1;
  }
  return summary.end() ? 0 : 1;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Simulates whole clusters of covey under a virtual clock and checks every promise.\n"
      "Example: covey-sim --seed 1 --runs 1000 --jobs 2");
  app.add_option("--seed", options.seed, "the first seed, or 'fresh' for one that nobody chose")
      ->capture_default_str();
  app.add_option("--runs", options.runs, "how many seeds, one after the other")
      ->check(CLI::Range(1, 100'000'000))
      ->capture_default_str();
  app.add_option("--jobs", options.jobs, "processes at once")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--nodes", options.nodes, "size of the cluster, 1 to 15; drawn if absent")
      ->check(CLI::Range(1, 15));
  app.add_option("--time", options.time, "length of the safety phase, e.g. 10m; drawn (4 to 15 s) if absent");
  app.add_option("--faults", options.faults, "partition,network,crash,clock,disk,membership, all or none")
      ->capture_default_str();
  app.add_option("--scenario", options.scenarios, "run this file instead of seeds")->check(CLI::ExistingFile);
  app.add_option("--report", options.report, "write a page with the timeline of the last run");
  app.add_option("--output", options.output, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.add_option("--shrink-seconds", options.shrink_seconds, "real time for shortening a failure")
      ->capture_default_str();
  app.add_flag("--print-scenario", options.print_scenario, "print the seed's scenario and do not run it");
  app.add_flag("--trace", options.trace, "print what happens");
  app.add_flag("--keep-going", options.keep_going, "run all seeds and only name those that fail");
  app.add_flag("--demand-coverage", options.demand_coverage,
               "fail if something that must sometimes happen never did");
#ifdef COVEY_BUGS
  app.add_option("--bug", options.bug_name, "the deliberate bug to activate (replication/bugs.h)");
  app.add_flag("--measure", options.measure, "how many seeds each deliberate bug needs to be found");
  app.add_flag("--find", options.find,
               "whether each deliberate bug is found, with seeds that are known first");
#endif
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
#ifdef COVEY_BUGS
  if (options.measure) return measure_bugs(options.jobs, options.bug_name);
  if (options.find) return find_bugs(options.jobs);
  if (!options.bug_name.empty() && !activate_bug(options.bug_name)) {
    std::fprintf(stderr, "covey-sim-bugs: there is no bug '%s'\n", options.bug_name.c_str());
    return 2;
  }
#endif
  return options.scenarios.empty() ? run_seeds(options) : run_scenarios(options);
}

}  // namespace
}  // namespace covey::sim

int main(int argc, char** argv) {
  try {
    return covey::sim::run(argc, argv);
  } catch (const covey::sim::ScenarioError& error) {
    std::fprintf(stderr, "covey-sim: %s\n", error.what());
    return 2;
  }
}
