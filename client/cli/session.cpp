#include "client/cli/session.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "client/encoding.h"

namespace covey::cli {
namespace {

std::vector<std::string> split_nodes(const std::string& text) {
  std::vector<std::string> nodes;
  std::string spaced = text;
  std::replace(spaced.begin(), spaced.end(), ',', ' ');
  std::istringstream words(spaced);
  for (std::string word; words >> word;) nodes.push_back(word);
  return nodes;
}

// "needed 2, reachable 1; n2 suspected, n3 unreachable" out of an error's details.
std::string details_text(const Json& details) {
  std::string counts;
  for (const char* name : {"needed", "reachable", "received", "limit"}) {
    if (!details.contains(name)) continue;
    counts += (counts.empty() ? "" : ", ") + std::string(name) + " " + details[name].dump();
  }
  std::string owners;
  if (const auto found = details.find("owners"); found != details.end() && found->is_object()) {
    for (const auto& [node, state] : found->items()) {
      owners += (owners.empty() ? "" : ", ") + node + " " +
                (state.is_string() ? state.get<std::string>() : state.dump());
    }
  }
  return counts + (counts.empty() || owners.empty() ? "" : "; ") + owners;
}

// Of an aggregate: which partitions differ and where, or why they are missing. Lines.
std::vector<std::string> partitions_text(const Json& details) {
  std::vector<std::string> lines;
  if (const auto found = details.find("partitions"); found != details.end() && found->is_array()) {
    for (const Json& one : *found) {
      if (!one.is_object() || !one.contains("partition") || !one.contains("nodes")) continue;
      std::string nodes;
      for (const Json& node : one["nodes"]) {
        if (node.is_string()) nodes += (nodes.empty() ? "" : ", ") + printable(node.get<std::string>());
      }
      lines.push_back("partition " + one["partition"].dump() + ": " + nodes);
    }
  }
  if (const auto found = details.find("reasons"); found != details.end() && found->is_object()) {
    for (const auto& [reason, count] : found->items())
      lines.push_back(count.dump() + " partitions: " + printable(reason));
  }
  constexpr size_t lines_max = 10;
  if (lines.size() > lines_max) {
    const std::string more = "and " + std::to_string(lines.size() - lines_max) + " more";
    lines.resize(lines_max);
    lines.push_back(more);
  }
  return lines;
}

// Characters that a terminal shows: neither colour codes nor the later bytes of a UTF-8 character.
size_t shown_width(std::string_view text) {
  size_t width = 0;
  bool in_code = false;
  for (const char c : text) {
    if (c == '\033') in_code = true;
    if (!in_code && (static_cast<unsigned char>(c) >> 6) != 2) ++width;
    if (c == 'm') in_code = false;
  }
  return width;
}

Json error_json(const Error& error) {
  Json object = error.details.is_object() ? error.details : Json::object();
  if (!object.contains("code")) {
    switch (error.kind) {
      case Error::Kind::timed_out:
        object["code"] = "timeout";
        break;
      case Error::Kind::unreachable:
        object["code"] = "unreachable";
        break;
      case Error::Kind::not_found:
        object["code"] = "not_found";
        break;
      case Error::Kind::unavailable:
        object["code"] = "unavailable";
        break;
      case Error::Kind::overloaded:
        object["code"] = "overloaded";
        break;
      case Error::Kind::refused:
        object["code"] = "bad_request";
        break;
      case Error::Kind::failed:
        object["code"] = "failed";
        break;
    }
  }
  if (!object.contains("message")) object["message"] = error.message;
  if (error.outcome_unknown) object["outcome"] = "unknown";
  return {{"error", object}};
}

}  // namespace

std::string bytes_text(double bytes) {
  const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) bytes /= 1024;
  char text[40];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return text;
}

std::string duration_text(int64_t ms) {
  if (ms < 1000) return std::to_string(ms) + " ms";
  if (ms < 120'000) return std::to_string(ms / 1000) + " s";
  if (ms < 7'200'000) return std::to_string(ms / 60'000) + " min";
  if (ms < 172'800'000) return std::to_string((ms + 1'800'000) / 3'600'000) + " h";
  return std::to_string((ms + 43'200'000) / 86'400'000) + " days";
}

ExitCode exit_code_of(const Error& error) {
  switch (error.kind) {
    case Error::Kind::not_found:
      return exit_not_found;
    case Error::Kind::unavailable:
    case Error::Kind::timed_out:
    case Error::Kind::overloaded:
    case Error::Kind::unreachable:
      return exit_unavailable;
    case Error::Kind::refused:
    case Error::Kind::failed:
      return exit_failed;
  }
  return exit_failed;
}

void Session::set(Settings settings) {
  const bool same = settings.nodes == settings_.nodes && settings.timeout == settings_.timeout;
  settings_ = std::move(settings);
  if (!same) client_.reset();
}

std::vector<std::string> Session::nodes() const {
  if (!settings_.nodes.empty()) return settings_.nodes;
  const char* listed = std::getenv("COVEY_NODES");
  std::vector<std::string> nodes = split_nodes(listed ? listed : "");
  if (nodes.empty()) nodes.push_back("127.0.0.1:7101");
  return nodes;
}

Result<client::Client, Error> Session::connect(const std::string& node,
                                               std::optional<Milliseconds> request_limit) const {
  client::ClientOptions options{.endpoints = node.empty() ? nodes() : std::vector<std::string>{node}};
  if (settings_.timeout) options.request_timeout = *settings_.timeout + std::chrono::seconds(1);
  if (request_limit) options.request_timeout = std::min(options.request_timeout, *request_limit);
  return client::Client::open(std::move(options));
}

client::Client* Session::client() {
  if (!client_) {
    auto opened = connect();
    if (!opened) {
      fail(opened.error());
      return nullptr;
    }
    client_.emplace(std::move(*opened));
  }
  return &*client_;
}

int Session::fail(const Error& error) const {
  if (settings_.json) {
    std::cerr << error_json(error).dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
    return exit_code_of(error);
  }
  const std::string label = error.code.empty() ? "" : error.code + ": ";
  const bool colour = colour_wanted(STDERR_FILENO);
  std::cerr << (colour ? "\033[31m" : "") << "covey: " << (colour ? "\033[0m" : "") << label << error.message
            << "\n";
  const Json given = error.details.is_object() ? error.details : Json::object();
  const std::string details = details_text(given);
  if (!details.empty()) std::cerr << "  " << details << "\n";
  for (const std::string& line : partitions_text(given)) std::cerr << "  " << line << "\n";
  if (error.outcome_unknown) std::cerr << "  outcome unknown: read the key again before writing it again\n";
  return exit_code_of(error);
}

int Session::fail(ExitCode code, std::string_view message) const {
  if (settings_.json) {
    std::cerr << Json{{"error",
                       {{"code", code == exit_not_found ? "not_found" : "failed"}, {"message", message}}}}
                     .dump(-1, ' ', false, Json::error_handler_t::replace)
              << "\n";
  } else {
    std::cerr << "covey: " << message << "\n";
  }
  return code;
}

bool colour_wanted(int file) {
  const char* terminal = std::getenv("TERM");
  return ::isatty(file) && !std::getenv("NO_COLOR") && !(terminal && std::string_view(terminal) == "dumb");
}

std::string coloured(std::string_view text, int colour) {
  if (!colour_wanted(STDOUT_FILENO)) return std::string(text);
  return "\033[" + std::to_string(colour) + "m" + std::string(text) + "\033[0m";
}

std::string printable(std::string_view bytes) {
  const bool text = client::valid_utf8(bytes);
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f && (byte < 0x80 || text)) {
      out += c;
      continue;
    }
    char escape[5];
    std::snprintf(escape, sizeof escape, "\\x%02x", byte);
    out += escape;
  }
  return out;
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], shown_width(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - shown_width(row[i]) + 2, ' ');
    }
    std::cout << line << "\n";
  }
}

void print_json(const Json& json) {
  std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
}

}  // namespace covey::cli
