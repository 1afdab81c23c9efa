// coveyd: one node of a covey cluster.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <limits>

#include "server/config.h"
#include "server/log.h"
#include "server/node.h"
#include "server/text.h"
#include "storage/restore.h"

namespace {

constexpr auto refill_interval = std::chrono::minutes(10);

struct Options {
  std::string file;
  bool check_only = false;
  std::string restore;  // the folder of a node's backups; empty: run
  uint32_t backup = 0;
  bool to_another_cluster = false;
};

int restore(const Options& options, const covey::server::Config& config) {
  auto restored = covey::restore_backup({.backups = options.restore,
                                         .id = options.backup,
                                         .directory = config.data_dir,
                                         .cluster = config.cluster_name,
                                         .node = config.node,
                                         .partitions = config.partitions,
                                         .to_another_cluster = options.to_another_cluster});
  if (!restored) {
    std::fprintf(stderr, "coveyd: not restored: %s\n", restored.error().c_str());
    return 1;
  }
  std::printf("restored: backup %u of node %s of %s, %llu bytes, to %s\n", restored->id,
              restored->label.node.c_str(),
              covey::server::iso_time(static_cast<uint64_t>(restored->time_s) * 1000).c_str(),
              static_cast<unsigned long long>(restored->bytes), config.data_dir.c_str());
  return 0;
}

int run(const Options& options) {
  auto config = covey::server::read_config(options.file);
  if (!config) {
    std::fprintf(stderr, "coveyd: %s\n", config.error().message.c_str());
    return 2;
  }
  if (options.check_only) {
    std::printf("%s: ok\n", options.file.c_str());
    return 0;
  }
  if (!options.restore.empty()) return restore(options, *config);
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
  Options options;
  app.add_option("--config", options.file, "The node's configuration: JSON with comments")->required();
  auto* check = app.add_flag("--check", options.check_only,
                             "Only check the configuration and say what is wrong with it");
  auto* restoring =
      app.add_option("--restore", options.restore,
                     "Only make the data directory, which must be empty, of a backup in DIR: the folder that "
                     "has the name of the node within backup.directory")
          ->type_name("DIR")
          ->excludes(check);
  app.add_option("--backup", options.backup, "With --restore: which one (the newest)")
      ->type_name("ID")
      ->check(CLI::Range(1U, std::numeric_limits<uint32_t>::max()))
      ->needs(restoring);
  app.add_flag("--to-another-cluster", options.to_another_cluster,
               "With --restore: the configuration names another cluster than the backup's")
      ->needs(restoring);
  app.set_version_flag("--version", "coveyd 0.1.0");
  app.footer(
      "Examples:\n  coveyd --config configs/local/n1.json\n"
      "  coveyd --config configs/local/n1.json --restore /backups/n1 --backup 3");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return run(options);
}
