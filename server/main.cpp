// coveyd: one node of a covey cluster.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>

#include "server/config.h"
#include "server/log.h"
#include "server/node.h"

namespace {

constexpr auto refill_interval = std::chrono::minutes(10);

int run(const std::string& file, bool check_only) {
  auto config = covey::server::read_config(file);
  if (!config) {
    std::fprintf(stderr, "coveyd: %s\n", config.error().message.c_str());
    return 2;
  }
  if (check_only) {
    std::printf("%s: ok\n", file.c_str());
    return 0;
  }
  covey::server::start_log(*config);

  // Blocked before any thread begins, so that this thread alone takes them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  // Once more for each time that damaged storage is set aside.
  for (auto refilled_at = std::chrono::steady_clock::time_point::min();;) {
    auto node = covey::server::Node::open(std::move(*config));
    if (!node) {
      spdlog::critical("the node does not start: {}", node.error());
      return 1;
    }
    (*node)->start();
    std::printf("%s\n", (*node)->ready_line().c_str());
    std::fflush(stdout);
    bool stopped = false;
    const timespec pause{.tv_sec = 0, .tv_nsec = 250'000'000};
    while (!(stopped = sigtimedwait(&signals, nullptr, &pause) > 0 || (*node)->departed()) &&
           !(*node)->may_be_set_aside()) {
    }
    if (stopped) return (*node)->close() ? 0 : 1;
    auto now = std::chrono::steady_clock::now();
    if (refilled_at != decltype(refilled_at)::min() && now < refilled_at + refill_interval) {
      spdlog::critical("new storage is damaged as well: the disk or the memory of this machine is broken");
      return 1;
    }
    refilled_at = now;
    auto again = (*node)->set_aside();
    if (!again) {
      spdlog::critical("damaged storage can't be set aside: {}", again.error());
      return 1;
    }
    config = std::move(*again);
  }
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"coveyd runs one node of a covey cluster from its configuration file."};
  std::string file;
  bool check_only = false;
  app.add_option("--config", file, "The node's configuration: JSON with comments")->required();
  app.add_flag("--check", check_only, "Only check the configuration and say what is wrong with it");
  app.set_version_flag("--version", "coveyd 0.1.0");
  app.footer("Example: coveyd --config configs/local/n1.json");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return run(file, check_only);
}
