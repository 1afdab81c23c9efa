#include "tests/bench/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

extern char** environ;

namespace covey::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What runs now, for the handler of signals: an interrupted benchmark leaves no servers behind.
std::array<std::atomic<pid_t>, 64> children{};

extern "C" void end_all(int signal) {
  for (auto& child : children) {
    if (const pid_t pid = child.load(); pid > 0) ::kill(pid, SIGKILL);
  }
  ::_exit(128 + signal);
}

void end_with_us() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, end_all);
}

void remember(pid_t pid) {
  for (auto& child : children) {
    pid_t none = 0;
    if (child.compare_exchange_strong(none, pid)) return;
  }
}

void forget(pid_t pid) {
  for (auto& child : children) {
    pid_t expected = pid;
    child.compare_exchange_strong(expected, 0);
  }
}

sockaddr_in local_address(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const fs::path& log) : log_(log) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  std::vector<std::string> words = arguments;
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  end_with_us();
  const int failure = ::posix_spawnp(&pid_, pointers[0], &files, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failure != 0) throw std::runtime_error("cannot start " + arguments[0] + ": " + std::strerror(failure));
  remember(pid_);
}

Process::~Process() { stop(); }

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), log_(std::move(other.log_)) {}

Process& Process::operator=(Process&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(log_, other.log_);
  return *this;
}

bool Process::running() {
  if (pid_ != 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) {
    forget(pid_);
    pid_ = 0;
  }
  return pid_ != 0;
}

void Process::stop(std::chrono::seconds patience) {
  if (!running()) return;
  ::kill(pid_, SIGTERM);
  const auto end = Clock::now() + patience;
  while (running() && Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  kill();
}

void Process::kill() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  forget(pid_);
  pid_ = 0;
}

void Process::wait_until(const std::function<bool()>& ready, std::chrono::seconds timeout) {
  const auto end = Clock::now() + timeout;
  while (!ready()) {
    const char* why = !running() ? "ended" : Clock::now() > end ? "did not become ready" : nullptr;
    if (why != nullptr) {
      const std::string text = output();
      throw std::runtime_error(std::string("a server ") + why + "; its output ends with:\n" +
                               text.substr(text.size() - std::min<size_t>(text.size(), 1500)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

uint64_t Process::resident_bytes() const {
  std::istringstream in(read_file("/proc/" + std::to_string(pid_) + "/statm"));
  uint64_t pages = 0;
  in >> pages >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

double Process::cpu_seconds() const {
  const std::string text = read_file("/proc/" + std::to_string(pid_) + "/stat");
  std::istringstream in(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string word;
  for (int field = 3; field < 14; ++field) in >> word;  // to utime, the 14th field
  uint64_t user = 0;
  uint64_t system = 0;
  in >> user >> system;
  return static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

std::string Process::output() const { return read_file(log_); }

TemporaryDirectory::TemporaryDirectory(const fs::path& parent) {
  std::string name = (parent / "covey-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw std::runtime_error("cannot make " + name + ": " + std::strerror(errno));
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code problem;  // what is left behind in a temporary directory harms nobody
  fs::remove_all(path_, problem);
}

std::vector<uint16_t> free_ports(size_t count) {
  std::vector<uint16_t> ports;
  std::vector<int> sockets;  // all kept until the end, so that no port is given twice
  for (size_t i = 0; i < count; ++i) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = local_address(0);
    socklen_t length = sizeof address;
    if (::bind(socket, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      throw std::runtime_error(std::string("no free port: ") + std::strerror(errno));
    }
    sockets.push_back(socket);
    ports.push_back(ntohs(address.sin_port));
  }
  for (const int socket : sockets) ::close(socket);
  return ports;
}

std::pair<int, int> connected_pair() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int first = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = local_address(0);
  socklen_t length = sizeof address;
  const bool listens = ::bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                       ::listen(listener, 1) == 0 &&
                       ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
                       ::connect(first, reinterpret_cast<const sockaddr*>(&address), length) == 0;
  const int second = listens ? ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC) : -1;
  ::close(listener);
  if (second < 0)
    throw std::runtime_error(std::string("no connection over the loopback: ") + std::strerror(errno));
  return {first, second};
}

bool accepts_connections(uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = local_address(port);
  const bool connected = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return connected;
}

std::optional<std::string> find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "/usr/bin:/bin" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string program = folder + "/" + name;
    if (::access(program.c_str(), X_OK) == 0) return program;
  }
  return std::nullopt;
}

std::string output_of(const std::vector<std::string>& arguments, const fs::path& directory) {
  const fs::path log = directory / "output.txt";
  fs::remove(log);
  Process process(arguments, log);
  while (process.running()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return process.output();
}

}  // namespace covey::bench
