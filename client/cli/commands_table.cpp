// tables, table create, table show, table drop.
#include <iostream>

#include "client/answers.h"
#include "client/cli/commands.h"

namespace covey::cli {
namespace {

// NAME:TYPE or NAME:TYPE:/json/pointer; the pointer is /NAME when it is left out.
std::optional<Json> column_from(const std::string& text) {
  const size_t first = text.find(':');
  if (first == std::string::npos || first == 0) return std::nullopt;
  const size_t second = text.find(':', first + 1);
  const std::string name = text.substr(0, first);
  const std::string type = text.substr(first + 1, second == std::string::npos ? second : second - first - 1);
  const std::string path = second == std::string::npos ? "/" + name : text.substr(second + 1);
  if (type.empty() || !path.starts_with('/')) return std::nullopt;
  return Json{{"name", name}, {"path", path}, {"type", type}};
}

std::string columns_text(const Json& table) {
  std::string out;
  for (const Json& column : table.value("columns", Json::array())) {
    out += (out.empty() ? "" : ", ") + column.value("name", "") + " " + column.value("type", "") + " " +
           column.value("path", "");
  }
  return out;
}

}  // namespace

int run(Session& session, const TablesCommand&) try {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  auto answer = client->tables();
  if (!answer) return session.fail(answer.error());
  if (session.settings().json) {
    print_json(*answer);
    return exit_done;
  }
  std::vector<std::vector<std::string>> rows = {{"TABLE", "CONFLICTS", "COLUMNS"}};
  for (const Json& table : answer->at("tables")) {
    rows.push_back({table.value("name", ""), table.value("conflicts", ""), columns_text(table)});
  }
  print_table(rows);
  return exit_done;
} catch (const Json::exception& problem) {
  return session.fail(client::bad_answer(problem.what()));
}

int run(Session& session, const TableCreateCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  Json definition = {{"conflicts", command.conflicts}, {"columns", Json::array()}};
  for (const std::string& text : command.columns) {
    const auto column = column_from(text);
    if (!column)
      return session.fail(exit_usage, "\"" + text + "\" is not NAME:TYPE or NAME:TYPE:/json/pointer");
    definition["columns"].push_back(*column);
  }
  auto answer = client->create_table(command.name, definition);
  if (!answer) return session.fail(answer.error());
  if (session.settings().json) {
    print_json(*answer);
  } else {
    std::cout << "table " << command.name << ": conflicts " << command.conflicts << "\n";
  }
  return exit_done;
}

int run(Session& session, const TableShowCommand& command) try {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  auto answer = client->table(command.name);
  if (!answer) return session.fail(answer.error());
  if (session.settings().json) {
    print_json(*answer);
    return exit_done;
  }
  std::cout << "table " << command.name << "\nconflicts " << answer->value("conflicts", "") << "\n";
  for (const Json& column : answer->value("columns", Json::array())) {
    std::cout << "column " << column.value("name", "") << " " << column.value("type", "") << " "
              << column.value("path", "") << "\n";
  }
  return exit_done;
} catch (const Json::exception& problem) {
  return session.fail(client::bad_answer(problem.what()));
}

int run(Session& session, const TableDropCommand& command) {
  client::Client* client = session.client();
  if (!client) return exit_usage;
  auto answer = client->drop_table(command.name);
  if (!answer) return session.fail(answer.error());
  if (session.settings().json) {
    print_json(*answer);
  } else {
    std::cout << "table " << command.name << " is dropped\n";
  }
  return exit_done;
}

}  // namespace covey::cli
