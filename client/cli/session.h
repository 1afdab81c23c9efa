// What one command of the command line works with: its settings, its client and where it prints.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/client.h"

namespace covey::cli {

using client::Error;
using client::Json;
using client::Milliseconds;

// The exit codes of the API.
enum ExitCode : int {
  exit_done = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_not_found = 3,
  exit_unavailable = 4,  // or timed out, overloaded, unreachable: trying again later may help
  exit_siblings = 5,
};

ExitCode exit_code_of(const Error& error);

// Options that go with any command. The shell starts each line from those that it was given itself.
struct Settings {
  std::vector<std::string> nodes;  // empty: COVEY_NODES, else 127.0.0.1:7101
  std::string table = "default";
  bool json = false;
  std::optional<Milliseconds> timeout;
  std::optional<bool> sloppy;
};

// One thread. Keeps the client, and so its connections, for as long as the settings name the same nodes.
class Session {
 public:
  explicit Session(Settings settings) : settings_(std::move(settings)) {}

  const Settings& settings() const { return settings_; }
  void set(Settings settings);

  // The nodes in the order in which they are tried.
  std::vector<std::string> nodes() const;
  // A client to those nodes (or to one of them alone), for another thread or as long as this command lasts.
  Result<client::Client, Error> connect(const std::string& node = {},
                                        std::optional<Milliseconds> request_limit = {}) const;
  // The session's own client; prints and returns null when a node's address is malformed.
  client::Client* client();

  // Prints an error on standard error, as text or JSON, and gives its exit code.
  int fail(const Error& error) const;
  int fail(ExitCode code, std::string_view message) const;

 private:
  Settings settings_;
  std::optional<client::Client> client_;
};

// Colour and progress only where a person sees them.
bool colour_wanted(int file);
// The text in a colour (an ANSI number), or as it is when standard output takes none.
std::string coloured(std::string_view text, int colour);
inline constexpr int red = 31, green = 32, yellow = 33, grey = 90;

// Bytes for a person: control characters and invalid UTF-8 as \xNN, for keys and one-line values.
std::string printable(std::string_view bytes);

std::string bytes_text(double bytes);   // "3.1 MiB"
std::string duration_text(int64_t ms);  // "250 ms", "12 s", "3 min"

// Columns padded to the same width, two spaces between.
void print_table(const std::vector<std::vector<std::string>>& rows);

void print_json(const Json& json);  // on one line

}  // namespace covey::cli
