// covey-swim-sim: failure detection in groups of any size, measured under a virtual clock
// (docs/benchmarks.md).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/swim/measure.h"
#include "tests/swim/plot.h"

namespace covey::swim {
namespace {

struct Options {
  std::vector<size_t> nodes;
  std::vector<uint64_t> loss;
  size_t runs = 5;
  uint64_t seconds = 60;
  uint64_t seed = 1;
  std::string svg;
  bool slow = false;
};

double seconds_of(uint64_t us) { return static_cast<double>(us) / 1e6; }

uint64_t most(const std::vector<uint64_t>& ascending) { return ascending.empty() ? 0 : ascending.back(); }

void print_scaling_head() {
  std::printf(
      "| nodes | loss %% | first suspects it, s | first holds it for dead | all do | all do, slowest run | "
      "news to all, s (rounds) | false suspicions an hour | false deaths an hour | bytes a node and second "
      "|\n"
      "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
}

void print_scaling(const Setting& setting, const Measured& got) {
  std::printf("| %zu | %llu | %.2f | %.2f | %.2f | %.2f%s | %.2f (%llu) | %.0f | %.0f | %.0f |\n",
              setting.nodes, static_cast<unsigned long long>(setting.loss_percent),
              seconds_of(median(got.first_suspected)), seconds_of(median(got.first_dead)),
              seconds_of(median(got.all_dead)), seconds_of(most(got.all_dead)),
              got.never > 0 ? " (not all)" : "", seconds_of(median(got.told)),
              static_cast<unsigned long long>(median(got.told_rounds)), got.suspected_an_hour,
              got.dead_an_hour, got.bytes);
  std::fflush(stdout);
}

void run_scaling(const Options& options) {
  static const std::vector<std::string> colours = {"#1b7837", "#2166ac", "#b2182b", "#762a83"};
  Chart times{"Seconds until a dead node is known", {}}, bytes{"Bytes a node and second", {}};
  print_scaling_head();
  for (size_t i = 0; i < options.loss.size(); ++i) {
    const std::string label = std::to_string(options.loss[i]) + " % loss";
    const std::string& colour = colours[i % colours.size()];
    Line first{"first, " + label, colour, true, {}}, all{"all, " + label, colour, false, {}};
    Line cost{label, colour, false, {}};
    for (size_t nodes : options.nodes) {
      Setting setting;
      setting.nodes = nodes;
      setting.loss_percent = options.loss[i];
      setting.runs = options.runs;
      setting.seconds = options.seconds;
      setting.seed = options.seed;
      const Measured got = measure(setting);
      print_scaling(setting, got);
      const auto size = static_cast<double>(nodes);
      first.points.emplace_back(size, seconds_of(median(got.first_dead)));
      all.points.emplace_back(size, seconds_of(median(got.all_dead)));
      cost.points.emplace_back(size, got.bytes);
    }
    times.lines.push_back(std::move(first));
    times.lines.push_back(std::move(all));
    bytes.lines.push_back(std::move(cost));
  }
  if (options.svg.empty()) return;
  if (!write_svg(options.svg, {times, bytes}))
    std::fprintf(stderr, "covey-swim-sim: can't write %s\n", options.svg.c_str());
}

// A tenth of the members looks at messages late, with plain SWIM and with Lifeguard.
void run_slow(const Options& options) {
  std::printf(
      "| nodes | slow ones are deaf for, s | protocol | healthy ones suspected an hour | healthy ones dead "
      "an hour | "
      "all know of a death, s |\n|--:|--:|---|--:|--:|--:|\n");
  for (size_t nodes : options.nodes) {
    for (uint64_t deaf_ms : {500, 1000, 2000, 4000}) {
      for (bool lifeguard : {false, true}) {
        Setting setting;
        setting.nodes = nodes;
        setting.slow = std::max<size_t>(1, nodes / 10);
        setting.slowness = {.deaf_us = deaf_ms * 1000, .hears_us = 10'000};
        setting.lifeguard = lifeguard;
        setting.runs = options.runs;
        setting.seconds = options.seconds;
        setting.seed = options.seed;
        const Measured got = measure(setting);
        std::printf("| %zu | %.1f | %s | %.0f | %.0f | %.2f%s |\n", nodes,
                    static_cast<double>(deaf_ms) / 1000, lifeguard ? "with Lifeguard" : "SWIM",
                    got.suspected_an_hour, got.dead_an_hour, seconds_of(median(got.all_dead)),
                    got.never > 0 ? " (not all)" : "");
        std::fflush(stdout);
      }
    }
  }
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Measures failure detection in groups of nodes under a virtual clock; prints a table.\n"
      "Example: covey-swim-sim --nodes 5 --nodes 100 --loss 0 --loss 10 --svg detection.svg");
  app.add_option("--nodes", options.nodes, "sizes of the group; 3, 5, 15, 100 and 1000 if absent")
      ->check(CLI::Range(2, 5000));
  app.add_option("--loss", options.loss, "percent of messages that are lost; 0, 5 and 10 if absent")
      ->check(CLI::Range(0, 90));
  app.add_option("--runs", options.runs, "of each, with seeds that follow")->capture_default_str();
  app.add_option("--seconds", options.seconds, "of quiet in each run, over which accusations are counted")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "the first")->capture_default_str();
  app.add_option("--svg", options.svg, "write a plot");
  app.add_flag("--slow", options.slow, "slow members instead of lost messages: SWIM beside Lifeguard");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : 2;
  }
  if (options.nodes.empty()) options.nodes = {3, 5, 15, 100, 1000};
  if (options.loss.empty()) options.loss = {0, 5, 10};
  if (options.slow)
    run_slow(options);
  else
    run_scaling(options);
  return 0;
}

}  // namespace
}  // namespace covey::swim

int main(int argc, char** argv) { return covey::swim::run(argc, argv); }
