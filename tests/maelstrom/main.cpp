// covey-maelstrom: a node of Maelstrom (docs/maelstrom.md). Reads messages from standard input, writes them
// to standard output and what a person should know to standard error; ends with its input.
#include <poll.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <random>

#include "tests/maelstrom/line_reader.h"
#include "tests/maelstrom/node.h"

namespace covey::maelstrom {
namespace {

constexpr int tick_ms = 5;

uint64_t wall_ms() {
  using namespace std::chrono;
  return static_cast<uint64_t>(duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count());
}

Now now() {
  using namespace std::chrono;
  const auto tick = duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
  return {static_cast<uint64_t>(tick), wall_ms()};
}

// Waits until the other side has taken them. False: it has gone.
bool write_lines(const std::vector<std::string>& lines) {
  std::string bytes;
  for (const std::string& line : lines) bytes += line + '\n';
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data() + at, bytes.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += static_cast<size_t>(written);
  }
  return true;
}

int run(const NodeOptions& options) {
  Node node(options);
  LineReader reader(line_bytes_max);
  std::string buffer(64 * 1024, '\0');
  uint64_t next_tick_us = 0;
  for (;;) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&input, 1, tick_ms);
    if (ready > 0) {
      const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
      if (count == 0) return 0;
      if (count < 0 && errno != EINTR && errno != EAGAIN) return 1;
      const std::string_view bytes(buffer.data(), count > 0 ? static_cast<size_t>(count) : 0);
      for (const LineReader::Line& line : reader.feed(bytes)) {
        if (line.too_long) {
          std::cerr << "a line of more than " << line_bytes_max << " bytes was dropped\n";
        } else {
          node.line(now(), line.text);
        }
      }
    }
    const Now time = now();
    if (time.tick_us >= next_tick_us) {
      node.tick(time);
      next_tick_us = time.tick_us + tick_ms * 1'000;
    }
    for (const std::string& text : node.take_log()) std::cerr << text << '\n';
    if (!write_lines(node.take_lines())) return 1;
  }
}

}  // namespace
}  // namespace covey::maelstrom

int main(int argc, char** argv) {
  using namespace covey;
  CLI::App app{
      "A node of Maelstrom, Jepsen's workbench: covey's core behind JSON lines.\n"
      "  maelstrom test -w lin-kv --bin covey-maelstrom ... -- lin-kv"};
  std::string workload, level = "quorum";
  std::optional<uint64_t> seed;
  app.add_option("workload", workload, "echo, broadcast, g-set, g-counter, pn-counter or lin-kv")->required();
  app.add_option("--level", level,
                 "lin-kv: replicas that must answer; below a majority it is not linearizable");
  app.add_option("--seed", seed, "of the core's choices; otherwise drawn");
  CLI11_PARSE(app, argc, argv);
  const auto served = maelstrom::parse_workload(workload);
  const auto parsed = parse_level(level, 16);
  if (!served || !parsed) {
    std::cerr << "covey-maelstrom: "
              << (served ? "a level is one, quorum, all or a number" : "no such workload")
              << ": see --help\n";
    return 2;
  }
  std::random_device random;
  auto draw = [&] { return uint64_t{random()} << 32 | random(); };
  return maelstrom::run({.workload = *served,
                         .level = *parsed,
                         .seed = seed.value_or(draw()),
                         .life = draw(),
                         .incarnation = maelstrom::wall_ms()});
}
