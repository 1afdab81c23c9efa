#include "client/cli/node_config.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

namespace covey::cli {
namespace {

namespace fs = std::filesystem;

// Replaces each ${NAME} of text; the result is a sentence when one is not set, and empty otherwise.
std::string expand(std::string_view text, const Environment& environment, std::string& out) {
  for (;;) {
    const size_t start = text.find("${");
    const size_t end = start == std::string_view::npos ? start : text.find('}', start);
    if (end == std::string_view::npos) {
      out += text;
      return {};
    }
    const std::string name(text.substr(start + 2, end - start - 2));
    const auto value = environment(name);
    if (!value) return "the environment has no " + name;
    out += text.substr(0, start);
    out += *value;
    text = text.substr(end + 1);
  }
}

// Nodes that listen on every address are reached over the loopback one.
std::string reachable(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  const std::string host = listen.substr(0, colon);
  if (host == "0.0.0.0") return "127.0.0.1" + listen.substr(colon);
  if (host == "[::]") return "[::1]" + listen.substr(colon);
  return listen;
}

}  // namespace

Result<NodeConfig, std::string> parse_node_config(std::string_view text, const std::string& file,
                                                  const Environment& environment) {
  using Outcome = Result<NodeConfig, std::string>;
  const auto json = nlohmann::json::parse(text, nullptr, false, true);
  if (!json.is_object()) return Outcome(file + ": not a JSON object");
  NodeConfig config{.file = file};
  const std::pair<const char*, std::string*> wanted[] = {
      {"/node", &config.node}, {"/data_dir", &config.data_dir}, {"/listen/http", &config.http}};
  for (const auto& [path, target] : wanted) {
    const nlohmann::json::json_pointer pointer(path);
    if (!json.contains(pointer) || !json.at(pointer).is_string())
      return Outcome(file + ": " + path + " must be a string");
    auto error = expand(json.at(pointer).get<std::string>(), environment, *target);
    if (!error.empty()) return Outcome(file + ": " + path + ": " + error);
  }
  config.http = reachable(config.http);
  if (config.http.ends_with(":0"))
    return Outcome(file + ": /listen/http needs a fixed port to be waited for");
  return config;
}

Result<std::vector<NodeConfig>, std::string> read_node_configs(const std::string& folder) {
  using Outcome = Result<std::vector<NodeConfig>, std::string>;
  std::error_code problem;
  std::vector<fs::path> files;
  for (fs::directory_iterator at(folder, problem), end; !problem && at != end; at.increment(problem)) {
    if (at->path().extension() == ".json") files.push_back(at->path());
  }
  if (problem) return Outcome(folder + ": " + problem.message());
  if (files.empty()) return Outcome(folder + ": no *.json files");
  std::sort(files.begin(), files.end());
  const Environment environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
  std::vector<NodeConfig> configs;
  for (const fs::path& path : files) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    if (!in) return Outcome(path.string() + ": cannot be read");
    auto config = parse_node_config(text, fs::absolute(path).lexically_normal().string(), environment);
    if (!config) return Outcome(config.error());
    configs.push_back(std::move(*config));
  }
  return configs;
}

}  // namespace covey::cli
