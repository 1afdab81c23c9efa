// The little that starting and stopping nodes needs of their configuration files. Checking them is coveyd's
// part.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "replication/result.h"

namespace covey::cli {

struct NodeConfig {
  std::string file;  // absolute
  std::string node;
  std::string data_dir;  // as the file says: relative to the process's working directory
  std::string http;      // HOST:PORT where a client on this machine reaches the node
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

// Reads JSON with comments, with ${NAME} in strings replaced. The error is a sentence.
Result<NodeConfig, std::string> parse_node_config(std::string_view text, const std::string& file,
                                                  const Environment& environment);

// All *.json of a folder, in the order of their names. The error names the file.
Result<std::vector<NodeConfig>, std::string> read_node_configs(const std::string& folder);

}  // namespace covey::cli
