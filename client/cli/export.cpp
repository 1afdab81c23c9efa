// export: every key of a table (or under a prefix) as the lines that import reads back: value, content type
// and all siblings; type and value of counters, sets and hashes. Not exported: dots, contexts, expiry times
// (an imported value does not expire).
#include <fstream>
#include <iostream>

#include "client/answers.h"
#include "client/cli/commands.h"
#include "client/cli/progress.h"

namespace covey::cli {
namespace {

std::string export_line(const client::ScanEntry& entry) {
  std::string line = "{" + client::key_member(entry.key) + ",";
  if (!entry.type.empty()) line += "\"type\":\"" + entry.type + "\",";
  if (entry.versions.size() == 1) {
    line += client::value_members(entry.versions.front().value, entry.versions.front().content_type);
    return line + "}";
  }
  line += R"("siblings":[)";
  for (const client::Version& version : entry.versions) {
    if (&version != &entry.versions.front()) line += ',';
    line += "{" + client::value_members(version.value, version.content_type) + "}";
  }
  return line + "]}";
}

}  // namespace

int run(Session& session, const ExportCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  std::ofstream file;
  if (!command.out.empty()) {
    file.open(command.out, std::ios::binary | std::ios::trunc);
    if (!file) return session.fail(exit_failed, "cannot write " + command.out);
  }
  std::ostream& out = command.out.empty() ? std::cout : file;
  Progress progress("export");
  uint64_t count = 0;
  client::ScanOptions options{.prefix = command.prefix,
                              .limit = 500,
                              .level = command.level,
                              .sloppy = session.settings().sloppy,
                              .timeout = session.settings().timeout};
  do {
    auto page = client->scan(session.settings().table, options);
    if (!page) {
      progress.clear();
      std::cerr << "covey: the export is incomplete: " << count << " keys were written\n";
      return session.fail(page.error());
    }
    for (const client::ScanEntry& entry : page->entries) {
      if (entry.versions.empty()) continue;
      out << export_line(entry) << "\n";
      ++count;
    }
    progress.show(-1, count);
    options.cursor = page->cursor;
  } while (!options.cursor.empty() && out);
  out.flush();
  if (!out) return session.fail(exit_failed, "the output could not be written");
  progress.clear();
  std::cerr << "exported " << count << " keys\n";
  return exit_done;
}

}  // namespace covey::cli
