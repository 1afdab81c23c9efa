// get, put, del, siblings, resolve, scan.
#include <iostream>
#include <iterator>

#include "client/answers.h"
#include "client/cli/commands.h"
#include "client/encoding.h"
#include "client/raw_json.h"
#include "replication/base64.h"

namespace covey::cli {
namespace {

using client::Reading;
using client::ReadOptions;
using client::ScanOptions;
using client::Version;
using client::WriteOptions;
using client::Written;

ReadOptions read_options(const Session& session, const std::string& level) {
  return {.level = level, .sloppy = session.settings().sloppy, .timeout = session.settings().timeout};
}

WriteOptions write_options(const Session& session, const std::string& level, std::string context) {
  return {.level = level,
          .sloppy = session.settings().sloppy,
          .timeout = session.settings().timeout,
          .context = std::move(context)};
}

// A version's value as the API spells it among siblings: JSON as it is, text as a string, other bytes as
// base64.
std::string sibling_value(const Version& version) {
  if (client::is_json_type(version.content_type) && nlohmann::json::accept(version.value)) {
    return R"("value":)" + client::on_one_line(version.value);
  }
  if (client::valid_utf8(version.value)) return R"("value":)" + Json(version.value).dump();
  return R"("value":")" + base64_encode(version.value) + R"(","base64":true)";
}

std::string dot_and_time(const Version& version) {
  std::string members;
  if (!version.dot.empty()) members += R"(,"dot":)" + Json(version.dot).dump();
  if (!version.time.empty()) members += R"(,"time":)" + Json(version.time).dump();
  return members;
}

// One line: the API's document of a key with its table and key, and with "value" for a single version.
std::string reading_line(const Session& session, const std::string& key, const Reading& reading) {
  std::string line = R"({"table":)" + Json(session.settings().table).dump() + "," + client::key_member(key);
  if (reading.versions.size() == 1) line += "," + sibling_value(reading.versions.front());
  line += R"(,"siblings":[)";
  for (const Version& version : reading.versions) {
    if (&version != &reading.versions.front()) line += ',';
    line += "{" + sibling_value(version) + dot_and_time(version) + R"(,"content_type":)" +
            Json(version.content_type).dump() + "}";
  }
  const Json rest = {{"context", reading.context},
                     {"replicas",
                      {{"owners", reading.replicas.owners},
                       {"asked", reading.replicas.asked},
                       {"answered", reading.replicas.answered},
                       {"behind", reading.replicas.behind}}}};
  return line + "]," + rest.dump().substr(1);
}

// One line of a scan, as the API spells it.
std::string entry_line(const client::ScanEntry& entry, bool keys_only) {
  std::string line = "{" + client::key_member(entry.key);
  if (keys_only) return line + "}";
  if (entry.versions.size() == 1) {
    const Version& version = entry.versions.front();
    line += "," + client::value_members(version.value, version.content_type) + dot_and_time(version);
  } else {
    line += R"(,"siblings":[)";
    for (const Version& version : entry.versions) {
      if (&version != &entry.versions.front()) line += ',';
      line += "{" + client::value_members(version.value, version.content_type) + dot_and_time(version) + "}";
    }
    line += "]";
  }
  return line + R"(,"context":)" + Json(entry.context).dump() + "}";
}

void print_siblings(const Reading& reading) {
  std::vector<std::vector<std::string>> rows;
  for (const Version& version : reading.versions) {
    rows.push_back({coloured(version.dot, yellow), coloured(version.time, grey), printable(version.value)});
  }
  print_table(rows);
}

// Reads at the level given; otherwise, a write that asks for one replica reads from one too, so that it
// succeeds wherever it can, and any other reads at the node's default.
Result<std::string, Error> context_for_write(Session& session, client::Client& client, const std::string& key,
                                             const std::string& read_level, const std::string& write_level) {
  const bool weak = write_level == "one" || write_level == "1";
  const std::string level = !read_level.empty() ? read_level : weak ? "one" : "";
  auto reading = client.get(session.settings().table, key, read_options(session, level));
  if (reading) return reading->context;
  Error error = reading.error();
  error.message = "reading the context first: " + error.message + " (--blind writes without it)";
  return error;
}

int print_written(const Session& session, const Written& written) {
  if (session.settings().json) {
    print_json({{"dot", written.dot},
                {"acks", {{"needed", written.acks_needed}, {"received", written.acks_received}}},
                {"context", written.context}});
  } else {
    std::cout << written.dot << "  acks " << written.acks_received << " (needed " << written.acks_needed
              << ")\n";
  }
  return exit_done;
}

bool print_entry(const Session& session, const client::ScanEntry& entry, bool keys_only) {
  if (session.settings().json) {
    std::cout << entry_line(entry, keys_only) << "\n";
  } else if (keys_only) {
    std::cout << printable(entry.key) << "\n";
  } else {
    for (const Version& version : entry.versions) {
      std::cout << printable(entry.key) << "\t" << printable(version.value);
      if (entry.versions.size() > 1) std::cout << "\t" << coloured("sibling " + version.dot, yellow);
      std::cout << "\n";
    }
  }
  return std::cout.good();
}

}  // namespace

std::optional<std::string> value_argument(const std::string& argument) {
  if (argument != "-") return argument;
  std::string value{std::istreambuf_iterator<char>(std::cin), {}};
  if (std::cin.bad()) return std::nullopt;
  return value;
}

int run(Session& session, const GetCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  const auto options = read_options(session, command.level);
  const bool json = session.settings().json;
  auto reading = json ? client->read_all(session.settings().table, command.key, options)
                      : client->get(session.settings().table, command.key, options);
  if (!reading) return session.fail(reading.error());
  if (json) {
    std::cout << reading_line(session, command.key, *reading) << "\n";
  } else if (!reading->found()) {
    return session.fail(exit_not_found, "no such key: " + printable(command.key));
  } else if (reading->siblings()) {
    std::cerr << "covey: " << reading->versions.size()
              << " siblings; settle them with: covey resolve KEY --pick DOT\n";
    print_siblings(*reading);
  } else {
    std::cout << reading->versions.front().value << (command.raw ? "" : "\n");
  }
  return !reading->found() ? exit_not_found : reading->siblings() ? exit_siblings : exit_done;
}

int run(Session& session, const PutCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  const auto value = value_argument(command.value);
  if (!value) return session.fail(exit_failed, "standard input cannot be read");
  std::string context = command.context.value_or("");
  if (!command.blind && !command.context) {
    auto found = context_for_write(session, *client, command.key, command.read_level, command.level);
    if (!found) return session.fail(found.error());
    context = *found;
  }
  WriteOptions options = write_options(session, command.level, std::move(context));
  options.ttl = command.ttl;
  options.content_type = command.content_type;
  options.only_if_absent = command.only_if_absent;
  auto written = client->put(session.settings().table, command.key, *value, options);
  return written ? print_written(session, *written) : session.fail(written.error());
}

int run(Session& session, const DelCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  std::string context = command.context.value_or("");
  if (!command.blind && !command.context) {
    auto found = context_for_write(session, *client, command.key, command.read_level, command.level);
    if (!found) return session.fail(found.error());
    context = *found;
  }
  auto written = client->del(session.settings().table, command.key,
                             write_options(session, command.level, std::move(context)));
  return written ? print_written(session, *written) : session.fail(written.error());
}

int run(Session& session, const SiblingsCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  auto reading =
      client->read_all(session.settings().table, command.key, read_options(session, command.level));
  if (!reading) return session.fail(reading.error());
  if (session.settings().json) {
    std::cout << reading_line(session, command.key, *reading) << "\n";
  } else if (!reading->found()) {
    return session.fail(exit_not_found, "no such key: " + printable(command.key));
  } else {
    print_siblings(*reading);
  }
  return !reading->found() ? exit_not_found : reading->siblings() ? exit_siblings : exit_done;
}

int run(Session& session, const ResolveCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  auto reading =
      client->read_all(session.settings().table, command.key, read_options(session, command.read_level));
  if (!reading) return session.fail(reading.error());
  if (!reading->found()) return session.fail(exit_not_found, "no such key: " + printable(command.key));
  WriteOptions options = write_options(session, command.level, reading->context);
  std::optional<std::string> value;
  if (command.pick) {
    for (const Version& version : reading->versions) {
      if (version.dot != *command.pick) continue;
      value = version.value;
      options.content_type = version.content_type;
    }
    if (!value) {
      if (!session.settings().json) print_siblings(*reading);
      return session.fail(exit_failed, "no sibling has the dot " + *command.pick);
    }
    if (!reading->siblings()) {
      std::cerr << "covey: that is the only version; nothing to resolve\n";
      return exit_done;
    }
  } else {
    value = value_argument(command.value.value_or("-"));
    if (!value) return session.fail(exit_failed, "standard input cannot be read");
  }
  auto written = client->put(session.settings().table, command.key, *value, options);
  return written ? print_written(session, *written) : session.fail(written.error());
}

int run(Session& session, const ScanCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  constexpr uint64_t page_keys = 500;
  uint64_t left = command.limit == 0 ? UINT64_MAX : command.limit;
  ScanOptions options{.prefix = command.prefix,
                      .start = command.start,
                      .level = command.level,
                      .sloppy = session.settings().sloppy,
                      .timeout = session.settings().timeout};
  do {
    options.limit = static_cast<int>(std::min(left, page_keys));
    auto page = client->scan(session.settings().table, options);
    if (!page) return session.fail(page.error());
    for (const client::ScanEntry& entry : page->entries) {
      if (!print_entry(session, entry, command.keys_only)) return exit_failed;
      if (--left == 0) return exit_done;
    }
    options.cursor = page->cursor;
    options.start.clear();
  } while (!options.cursor.empty());
  return exit_done;
}

}  // namespace covey::cli
