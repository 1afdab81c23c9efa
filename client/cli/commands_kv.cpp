// get, put, del, siblings, resolve, scan.
#include <iostream>
#include <iterator>

#include "client/answers.h"
#include "client/cli/commands.h"
#include "client/encoding.h"

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

// A version as the API spells siblings: JSON as it is, text as a string, other bytes as base64.
Json sibling_json(const Version& version) {
  Json object = client::version_json(version);
  if (object.contains("value_base64")) {
    const bool text = client::valid_utf8(version.value);
    object["value"] = text ? Json(version.value) : object["value_base64"];
    if (!text) object["base64"] = true;
    object.erase("value_base64");
  }
  object["content_type"] = version.content_type;
  return object;
}

Json reading_json(const Session& session, const std::string& key, const Reading& reading) {
  Json object = {{"table", session.settings().table}};
  object.update(client::key_json(key));
  object["siblings"] = Json::array();
  for (const Version& version : reading.versions) object["siblings"].push_back(sibling_json(version));
  if (reading.versions.size() == 1) object["value"] = object["siblings"][0]["value"];
  object["context"] = reading.context;
  object["replicas"] = {{"owners", reading.replicas.owners},
                        {"asked", reading.replicas.asked},
                        {"answered", reading.replicas.answered},
                        {"behind", reading.replicas.behind}};
  return object;
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
    Json line = client::key_json(entry.key);
    if (!keys_only) {
      if (entry.versions.size() == 1) line.update(client::version_json(entry.versions.front()));
      if (entry.versions.size() > 1) {
        for (const Version& version : entry.versions)
          line["siblings"].push_back(client::version_json(version));
      }
      line["context"] = entry.context;
    }
    print_json(line);
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
    print_json(reading_json(session, command.key, *reading));
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
    print_json(reading_json(session, command.key, *reading));
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
