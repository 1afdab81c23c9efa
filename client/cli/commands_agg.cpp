// agg: aggregates over a table's columns, as a table or as bars.
#include <algorithm>
#include <cmath>
#include <iostream>

#include "client/answers.h"
#include "client/cli/agg_words.h"
#include "client/cli/commands.h"

namespace covey::cli {
namespace {

constexpr int bar_width = 40;
constexpr int lag_worth_telling_ms = 1000;  // while there are writes, some replica is always a little behind

std::string text_of(const Json& value) {
  if (value.is_string()) return printable(value.get<std::string>());
  if (value.is_null()) return "-";
  if (!value.is_array()) return value.dump();
  std::string out;
  for (const Json& one : value) out += (out.empty() ? "" : " ") + text_of(one);
  return out;
}

// Eighths of a character, so that small differences are seen.
std::string bar(double share) {
  static const char* const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * bar_width * 8));
  std::string out;
  for (int i = 0; i < eighths / 8; ++i) out += "█";
  return out + parts[eighths % 8];
}

struct Bar {
  std::string label;
  Json value;
};

void print_bars(const std::string& title, const std::vector<Bar>& bars) {
  double most = 0;
  for (const Bar& one : bars) {
    if (one.value.is_number()) most = std::max(most, std::abs(one.value.get<double>()));
  }
  std::cout << title << "\n";
  std::vector<std::vector<std::string>> rows;
  for (const Bar& one : bars) {
    const bool number = one.value.is_number() && most > 0;
    const double value = number ? one.value.get<double>() : 0;
    rows.push_back(
        {one.label, text_of(one.value), (value < 0 ? "-" : "") + bar(number ? std::abs(value) / most : 0)});
  }
  print_table(rows);
}

std::string key_text(const Json& group) { return group.at("key").empty() ? "all" : text_of(group.at("key")); }

// A histogram's bins in each group; else a bar for each group.
void plot(const Json& aggregates, const Json& groups) {
  for (const auto& [name, asked] : aggregates.items()) {
    if (!asked.contains("histogram")) {
      std::vector<Bar> bars;
      for (const Json& group : groups) {
        const Json& value = group.at(name);
        bars.push_back({key_text(group), value.is_array() && value.size() == 1 ? value[0] : value});
      }
      print_bars(name, bars);
      continue;
    }
    for (const Json& group : groups) {
      const Json& edges = asked.at("edges");
      const Json& found = group.at(name);
      std::vector<Bar> bars = {{"below", found.at("below")}};
      for (size_t i = 0; i + 1 < edges.size(); ++i)
        bars.push_back(
            {"[" + edges[i].dump() + ", " + edges[i + 1].dump() + (i + 2 < edges.size() ? ")" : "]"),
             found.at("counts").at(i)});
      bars.push_back({"above", found.at("above")});
      print_bars(name + "  " + key_text(group), bars);
    }
  }
}

void print_groups(const AggCommand& command, const Json& aggregates, const Json& groups) {
  std::vector<std::vector<std::string>> rows(1, command.by);
  for (const auto& [name, asked] : aggregates.items()) rows[0].push_back(name);
  for (const Json& group : groups) {
    auto& row = rows.emplace_back();
    for (const Json& key : group.at("key")) row.push_back(text_of(key));
    for (const auto& [name, asked] : aggregates.items()) {
      const Json& value = group.at(name);
      row.push_back(asked.contains("histogram") ? text_of(value.at("counts")) : text_of(value));
    }
  }
  print_table(rows);
}

// What the reader must know beside the numbers; on standard error, so that the table stays a table.
void print_notes(const Json& answer) {
  const Json& coverage = answer.at("coverage");
  if (!coverage.at("missing").empty()) {
    std::cerr << "covey: " << coverage.at("answered") << " of " << coverage.at("partitions")
              << " partitions answered; missing:";
    for (const auto& [reason, count] : coverage.at("reasons").items())
      std::cerr << " " << count << " (" << reason << ")";
    std::cerr << "\n";
  }
  const Json& as_of = answer.at("as_of");
  if (as_of.at("max_lag_ms") > lag_worth_telling_ms)
    std::cerr << "covey: replicas have differed for up to " << as_of.at("max_lag_ms") << " ms\n";
  if (as_of.at("conflicted_keys") > 0)
    std::cerr << "covey: " << as_of.at("conflicted_keys") << " keys have siblings\n";
  if (!answer.contains("verified")) return;
  const Json& verified = answer.at("verified");
  std::cerr << "covey: verified: " << verified.at("equal") << " of " << coverage.at("partitions")
            << " partitions gave the same bits on " << verified.at("owners") << " owners";
  if (!verified.at("diverging").empty())
    std::cerr << "; " << verified.at("diverging").size() << " differ while writes are on their way";
  if (!verified.at("unverified").empty())
    std::cerr << "; " << verified.at("unverified").size() << " were not compared";
  std::cerr << "\n";
}

void print_profile(const Json& profile) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [phase, us] : profile.at("phases_us").items()) rows.push_back({phase, us.dump() + " us"});
  rows.push_back({"total", profile.at("total_us").dump() + " us"});
  rows.push_back({"device", profile.at("device").get<std::string>() + " (" +
                                profile.at("reason").get<std::string>() + ")"});
  print_table(rows);
}

}  // namespace

int run(Session& session, const AggCommand& command) try {
  const auto aggregates = aggregates_from(command.words, {.exact_quantiles = command.exact});
  if (!aggregates) return session.fail(exit_usage, aggregates.error());
  Json query = {{"table", session.settings().table}, {"aggregates", *aggregates}};
  Json where = Json::array();
  if (!command.where.empty()) {
    auto conditions = conditions_from(command.where);
    if (!conditions) return session.fail(exit_usage, conditions.error());
    where = std::move(*conditions);
  }
  if (!command.prefix.empty()) where.push_back({{"prefix", command.prefix}});
  if (!where.empty()) query["where"] = std::move(where);
  if (!command.by.empty()) query["group_by"] = command.by;
  if (command.limit_groups != 0) query["limit_groups"] = command.limit_groups;
  Json body = {{"queries", Json::array({std::move(query)})},
               {"coverage", command.available ? "available" : "all"},
               {"device", command.device},
               {"siblings", command.siblings},
               {"verify", command.verify},
               {"profile", command.profile}};
  client::Client* client = session.client();
  if (!client) return exit_usage;
  auto answer = client->aggregate(body, session.settings().timeout);
  if (!answer) return session.fail(answer.error());
  if (session.settings().json) {
    print_json(*answer);
    return exit_done;
  }
  const Json& groups = answer->at("results").at(0).at("groups");
  if (command.plot) {
    plot(*aggregates, groups);
  } else {
    print_groups(command, *aggregates, groups);
  }
  print_notes(*answer);
  if (command.profile) print_profile(answer->at("profile"));
  return exit_done;
} catch (const Json::exception& problem) {
  return session.fail(client::bad_answer(problem.what()));
}

}  // namespace covey::cli
