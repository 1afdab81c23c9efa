// cluster start, cluster stop: nodes as processes of this machine, one for each configuration file of a
// folder. A node's process id and its output are kept in DATA_DIR.pid and DATA_DIR.log: beside its data
// directory, because a node starts only in a directory that is empty or its own.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <thread>

#include "client/cli/commands.h"
#include "client/cli/node_config.h"

extern char** environ;

namespace covey::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int exec_looks_max = 20;
constexpr auto exec_pause = std::chrono::milliseconds(10);

std::string beside_data(const NodeConfig& config, const char* ending) {
  const size_t end = config.data_dir.find_last_not_of('/');
  return config.data_dir.substr(0, end == std::string::npos ? end : end + 1) + ending;
}
std::string pid_file(const NodeConfig& config) { return beside_data(config, ".pid"); }
std::string log_file(const NodeConfig& config) { return beside_data(config, ".log"); }

// Whether that process still runs this node: a process id alone may have been given to another program since.
bool runs_node(pid_t pid, const NodeConfig& config) {
  ::waitpid(pid, nullptr, WNOHANG);  // collects it if this very program started it and it has ended
  std::string command;
  // A process that has just been started has no command line for a moment.
  for (int look = 0; command.empty() && look < exec_looks_max && ::kill(pid, 0) == 0; ++look) {
    if (look > 0) std::this_thread::sleep_for(exec_pause);
    std::ifstream in("/proc/" + std::to_string(pid) + "/cmdline", std::ios::binary);
    command.assign(std::istreambuf_iterator<char>(in), {});
  }
  return command.find(config.file) != std::string::npos;
}

std::optional<pid_t> running(const NodeConfig& config) {
  pid_t pid = 0;
  std::ifstream in(pid_file(config));
  if (!(in >> pid) || pid <= 0 || !runs_node(pid, config)) return std::nullopt;
  return pid;
}

std::string find_server(const std::string& given) {
  if (!given.empty()) return given;
  std::error_code problem;
  const fs::path self = fs::read_symlink("/proc/self/exe", problem);
  const fs::path beside = self.parent_path() / "coveyd";
  return !problem && fs::exists(beside, problem) ? beside.string() : "coveyd";
}

// Starts the program in a session of its own, so that closing the terminal does not end it.
Result<pid_t, std::string> spawn(const std::string& program, const NodeConfig& config) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  const std::string log = log_file(config);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::string words[] = {program, "--config", config.file};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t pid = 0;
  const int failure = ::posix_spawnp(&pid, program.c_str(), &files, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (failure != 0) return "cannot start " + program + ": " + std::strerror(failure);
  return pid;
}

struct Started {
  NodeConfig config;
  pid_t pid = 0;
  bool own = false;  // started by this command, not found running
  std::uintmax_t log_start = 0;
  std::string state = "starting";  // "ready", "exited" or why it is not ready yet
};

std::string end_of_log(const Started& node) {
  std::ifstream in(log_file(node.config), std::ios::binary);
  in.seekg(static_cast<std::streamoff>(node.log_start));
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  constexpr size_t shown_max = 2000;
  return text.size() <= shown_max ? text : "..." + text.substr(text.size() - shown_max);
}

void look(const Session& session, Started& node) {
  if (node.own ? ::waitpid(node.pid, nullptr, WNOHANG) == node.pid : !runs_node(node.pid, node.config)) {
    node.state = "exited";
    return;
  }
  auto client = session.connect(node.config.http);
  if (!client) {
    node.state = client.error().message;
    return;
  }
  auto health = client->ready();
  node.state = !health ? "no answer yet" : health->good ? "ready" : health->reason;
}

Result<Started, std::string> start_node(const std::string& program, const NodeConfig& config) {
  Started node{.config = config};
  if (const auto pid = running(config)) {
    node.pid = *pid;
    return node;
  }
  std::error_code problem;
  const fs::path folder = fs::path(log_file(config)).parent_path();
  if (!folder.empty()) fs::create_directories(folder, problem);
  if (problem) return folder.string() + ": " + problem.message();
  const auto size = fs::file_size(log_file(config), problem);
  node.log_start = problem ? 0 : size;
  auto pid = spawn(program, config);
  if (!pid) return pid.error();
  node.pid = *pid;
  node.own = true;
  std::ofstream out(pid_file(config), std::ios::trunc);
  out << node.pid << "\n";
  if (!out.flush()) return "cannot write " + pid_file(config) + "; process " + std::to_string(*pid) + " runs";
  return node;
}

int print_started(const Session& session, const std::vector<Started>& nodes) {
  bool exited = false, waiting = false;
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const Started& node : nodes) {
    exited = exited || node.state == "exited";
    waiting = waiting || (node.state != "exited" && node.state != "ready");
    list.push_back({{"node", node.config.node},
                    {"state", node.state},
                    {"http", node.config.http},
                    {"pid", node.pid},
                    {"log", log_file(node.config)}});
    rows.push_back({node.config.node, coloured(node.state, node.state == "ready" ? green : red),
                    "http " + node.config.http, "pid " + std::to_string(node.pid),
                    "log " + log_file(node.config)});
  }
  if (session.settings().json) {
    print_json({{"nodes", list}});
  } else {
    print_table(rows);
  }
  for (const Started& node : nodes) {
    if (node.state == "exited")
      std::cerr << "covey: " << node.config.node << " has ended:\n" << end_of_log(node);
  }
  return exited ? exit_failed : waiting ? exit_unavailable : exit_done;
}

}  // namespace

int run(Session& session, const ClusterStartCommand& command) {
  auto configs = read_node_configs(command.folder);
  if (!configs) return session.fail(exit_usage, configs.error());
  const std::string program = find_server(command.program);
  std::vector<Started> nodes;
  for (const NodeConfig& config : *configs) {
    auto node = start_node(program, config);
    if (!node) return session.fail(exit_failed, config.node + ": " + node.error());
    nodes.push_back(std::move(*node));
  }
  const auto limit = Clock::now() + command.limit;
  for (;;) {
    bool waiting = false;
    for (Started& node : nodes) {
      if (node.state != "ready" && node.state != "exited") look(session, node);
      waiting = waiting || (node.state != "ready" && node.state != "exited");
    }
    if (!waiting || Clock::now() >= limit) break;
    std::this_thread::sleep_for(Milliseconds(50));
  }
  return print_started(session, nodes);
}

int run(Session& session, const ClusterStopCommand& command) {
  auto configs = read_node_configs(command.folder);
  if (!configs) return session.fail(exit_usage, configs.error());
  struct Stopping {
    NodeConfig config;
    std::optional<pid_t> pid;
  };
  std::vector<Stopping> nodes;
  for (const NodeConfig& config : *configs) {
    nodes.push_back({config, running(config)});
    if (nodes.back().pid) ::kill(*nodes.back().pid, SIGTERM);
  }
  const auto limit = Clock::now() + command.limit;
  const auto still_running = [](const Stopping& node) {
    return node.pid && runs_node(*node.pid, node.config);
  };
  while (Clock::now() < limit && std::any_of(nodes.begin(), nodes.end(), still_running)) {
    std::this_thread::sleep_for(Milliseconds(20));
  }
  bool all_stopped = true;
  Json list = Json::array();
  for (const Stopping& node : nodes) {
    const bool remains = still_running(node);
    const std::string state = remains ? "did not stop" : node.pid ? "stopped" : "was not running";
    all_stopped = all_stopped && !remains;
    std::error_code absent;
    if (!remains) fs::remove(pid_file(node.config), absent);
    list.push_back({{"node", node.config.node}, {"state", state}});
    if (remains) list.back()["pid"] = *node.pid;
    if (session.settings().json) continue;
    std::cout << node.config.node << "  " << state << (remains ? "  pid " + std::to_string(*node.pid) : "")
              << "\n";
  }
  if (session.settings().json) print_json({{"nodes", list}});
  return all_stopped ? exit_done : exit_failed;
}

}  // namespace covey::cli
