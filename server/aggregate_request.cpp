#include "server/aggregate_request.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "server/call_options.h"
#include "server/table_definition.h"
#include "server/text.h"

namespace covey::server {
namespace {

using Json = nlohmann::ordered_json;

const std::string too_deep = "must not be nested deeper than " + std::to_string(json_depth_max) + " levels";

struct Fault {
  ErrorAnswer error;
};

[[noreturn]] void fail(const std::string& at, const std::string& what) {
  throw Fault{bad_request(at + " " + what + ".")};
}

void check_members(const Json& object, const std::string& at, std::initializer_list<const char*> known) {
  if (!object.is_object()) fail(at, "must be a JSON object");
  for (const auto& [name, value] : object.items()) {
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    std::string list;
    for (const char* one : known) list += (list.empty() ? "" : ", ") + std::string(one);
    fail(at, "has the unknown member \"" + name + "\"; allowed are " + list);
  }
}

std::string text_of(const Json& value, const std::string& at) {
  if (!value.is_string()) fail(at, "must be a string");
  return value.get<std::string>();
}

uint64_t whole(const Json& value, const std::string& at, uint64_t least, uint64_t most) {
  bool fits = value.is_number_unsigned() && value.get<uint64_t>() >= least && value.get<uint64_t>() <= most;
  if (!fits) fail(at, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return value.get<uint64_t>();
}

// The place of the word in the list.
size_t word(const Json& object, const char* name, const std::string& at, size_t otherwise,
            std::initializer_list<const char*> words) {
  if (!object.contains(name)) return otherwise;
  const Json& value = object[name];
  size_t place = 0;
  std::string list;
  for (const char* one : words) {
    if (value.is_string() && value.get_ref<const std::string&>() == one) return place;
    list += (place++ == 0 ? "\"" : ", \"") + std::string(one) + "\"";
  }
  fail(at + "." + name, "must be one of " + list);
}

agg::Value constant(const Json& value, const std::string& at) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) return value.get<double>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) return value.get<double>();
  fail(at, "must be a number or a string");
}

std::vector<agg::Value> constants(const Json& value, const std::string& at, size_t least, size_t most) {
  if (!value.is_array() || value.size() < least || value.size() > most) {
    fail(at, "must be a list of " + std::to_string(least) +
                 (least == most ? "" : " to " + std::to_string(most)) + " values");
  }
  std::vector<agg::Value> out;
  for (size_t i = 0; i < value.size(); ++i)
    out.push_back(constant(value[i], at + "[" + std::to_string(i) + "]"));
  return out;
}

agg::Predicate predicate(const Json& condition, const std::string& at) {
  static const std::map<std::string, agg::Compare> operators = {
      {"=", agg::Compare::kEqual},        {"!=", agg::Compare::kNotEqual},
      {"<", agg::Compare::kLess},         {"<=", agg::Compare::kLessEqual},
      {">", agg::Compare::kGreater},      {">=", agg::Compare::kGreaterEqual},
      {"in", agg::Compare::kIn},          {"between", agg::Compare::kBetween},
      {"is_null", agg::Compare::kIsNull}, {"not_null", agg::Compare::kNotNull}};
  check_members(condition, at, {"column", "op", "value"});
  agg::Predicate out;
  if (!condition.contains("column"))
    fail(at, "needs a \"column\", or is {\"prefix\": ...} or {\"keys\": ...}");
  out.column = text_of(condition["column"], at + ".column");
  auto found = operators.find(condition.contains("op") ? text_of(condition["op"], at + ".op") : "");
  if (found == operators.end()) fail(at + ".op", "must be one of = != < <= > >= in between is_null not_null");
  out.op = found->second;
  const bool unary = out.op == agg::Compare::kIsNull || out.op == agg::Compare::kNotNull;
  if (unary && condition.contains("value"))
    fail(at, "has a \"value\", which " + found->first + " does not take");
  if (unary) return out;
  if (!condition.contains("value")) fail(at, "needs a \"value\"");
  const Json& value = condition["value"];
  if (out.op == agg::Compare::kIn) {
    out.values = constants(value, at + ".value", 1, agg::kInListMax);
  } else if (out.op == agg::Compare::kBetween) {
    out.values = constants(value, at + ".value", 2, 2);
  } else {
    out.values = {constant(value, at + ".value")};
  }
  return out;
}

void add_keys(const Json& keys, const std::string& at, KeySet& out) {
  if (!keys.is_array() || keys.empty() || keys.size() > agg::kInListMax)
    fail(at, "must be a list of 1 to 65536 keys");
  std::vector<std::string> texts;
  for (size_t i = 0; i < keys.size(); ++i)
    texts.push_back(text_of(keys[i], at + "[" + std::to_string(i) + "]"));
  if (out.keys) fail(at, "stands there twice: give one list of keys");
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  out.keys = std::move(texts);
}

void read_where(const Json& where, const std::string& at, agg::Query& query, TableQueries& table) {
  if (!where.is_array() || where.size() > agg::kPredicatesMax)
    fail(at, "must be a list of at most " + std::to_string(agg::kPredicatesMax) + " conditions");
  KeySet keys;
  for (size_t i = 0; i < where.size(); ++i) {
    const std::string here = at + "[" + std::to_string(i) + "]";
    const Json& condition = where[i];
    if (condition.is_object() && condition.contains("prefix")) {
      check_members(condition, here, {"prefix"});
      if (keys.prefix) fail(here, "is a second prefix: give one");
      keys.prefix = text_of(condition["prefix"], here + ".prefix");
    } else if (condition.is_object() && condition.contains("keys")) {
      check_members(condition, here, {"keys"});
      add_keys(condition["keys"], here + ".keys", keys);
    } else {
      query.where.push_back(predicate(condition, here));
    }
  }
  if (keys == KeySet{}) return;
  auto known = std::find(table.key_sets.begin(), table.key_sets.end(), keys);
  query.row_set = static_cast<uint32_t>(known - table.key_sets.begin());
  if (known == table.key_sets.end()) table.key_sets.push_back(std::move(keys));
}

void read_quantile(const Json& given, const std::string& at, agg::Aggregate& out, bool& one) {
  if (!given.contains("q")) fail(at, "needs \"q\": a number from 0 to 1, or a list of them");
  one = !given["q"].is_array();
  const Json list = one ? Json::array({given["q"]}) : given["q"];
  for (const Json& q : list) {
    if (!q.is_number() || !(q.get<double>() >= 0 && q.get<double>() <= 1))
      fail(at + ".q", "must be a number from 0 to 1, or a list of them");
    out.q.push_back(q.get<double>());
  }
  if (out.q.empty() || out.q.size() > agg::kQuantilesMax)
    fail(at + ".q", "must have 1 to " + std::to_string(agg::kQuantilesMax) + " numbers");
  out.mode = static_cast<agg::QuantileMode>(1 + word(given, "mode", at, 0, {"sketch", "exact"}));
}

agg::Aggregate aggregate(const std::string& name, const Json& given, const std::string& at, bool& one) {
  using Kind = agg::AggregateKind;
  static const std::map<std::string, Kind> kinds = {
      {"count", Kind::kCount},       {"sum", Kind::kSum},
      {"avg", Kind::kAvg},           {"min", Kind::kMin},
      {"max", Kind::kMax},           {"var", Kind::kVar},
      {"stddev", Kind::kStddev},     {"quantile", Kind::kQuantile},
      {"distinct", Kind::kDistinct}, {"histogram", Kind::kHistogram},
      {"first", Kind::kFirst},       {"last", Kind::kLast}};
  agg::Aggregate out;
  out.name = name;
  const char* taken[] = {"key", "rows", "exact", "nulls", "special", "approximate"};
  if (name.empty() || std::find(std::begin(taken), std::end(taken), name) != std::end(taken))
    fail(at, "must have another name: key, rows, exact, nulls, special and approximate are the answer's own");
  if (!given.is_object() || given.empty()) fail(at, "must be an object like {\"sum\": \"temp\"}");
  auto kind = kinds.end();
  for (const auto& [word_, value] : given.items()) {
    auto found = kinds.find(word_);
    if (found == kinds.end()) continue;
    if (kind != kinds.end()) fail(at, "names two operators: give one");
    kind = found;
    out.column = text_of(value, at + "." + word_);
  }
  if (kind == kinds.end()) {
    fail(at,
         "needs one of count, sum, avg, min, max, var, stddev, quantile, distinct, histogram, first, last");
  }
  out.kind = kind->second;
  const char* own = kind->first.c_str();
  if (out.kind == Kind::kCount && out.column == "*") out.column.clear();
  if (out.kind == Kind::kVar || out.kind == Kind::kStddev) {
    check_members(given, at, {own, "ddof"});
    if (given.contains("ddof"))
      out.ddof = static_cast<uint32_t>(whole(given["ddof"], at + ".ddof", 0, 1'000'000));
  } else if (out.kind == Kind::kQuantile) {
    check_members(given, at, {own, "q", "mode"});
    read_quantile(given, at, out, one);
  } else if (out.kind == Kind::kHistogram) {
    check_members(given, at, {own, "edges"});
    if (!given.contains("edges")) fail(at, "needs \"edges\": a list of rising numbers");
    out.edges = constants(given["edges"], at + ".edges", 2, agg::kEdgesMax);
  } else {
    check_members(given, at, {own});
  }
  return out;
}

void read_query(const Json& given, const std::string& at, TableQueries& table) {
  check_members(given, at, {"id", "table", "where", "group_by", "limit_groups", "aggregates", "special"});
  agg::Query query;
  query.id = given.contains("id") ? text_of(given["id"], at + ".id") : "";
  if (given.contains("where")) read_where(given["where"], at + ".where", query, table);
  if (given.contains("group_by")) {
    const Json& columns = given["group_by"];
    if (!columns.is_array() || columns.size() > agg::kGroupColumnsMax)
      fail(at + ".group_by", "must be a list of at most 8 columns");
    for (const Json& column : columns) query.group_by.push_back(text_of(column, at + ".group_by"));
  }
  if (given.contains("limit_groups"))
    query.limit_groups = whole(given["limit_groups"], at + ".limit_groups", 1, agg::kGroupsMax);
  const Json none = Json::object();
  const Json& aggregates = given.contains("aggregates") ? given["aggregates"] : none;
  if (!aggregates.is_object() || aggregates.empty() || aggregates.size() > agg::kAggregatesMax)
    fail(at + ".aggregates", "must be an object of 1 to 256 aggregates, like {\"s\": {\"sum\": \"temp\"}}");
  std::vector<bool> single;
  for (const auto& [name, one] : aggregates.items()) {
    bool one_quantile = false;
    query.aggregates.push_back(aggregate(name, one, at + ".aggregates." + name, one_quantile));
    single.push_back(one_quantile);
  }
  query.special = static_cast<agg::Special>(1 + word(given, "special", at, 0, {"exclude", "propagate"}));
  table.queries.push_back(std::move(query));
  table.one_quantile.push_back(std::move(single));
}

Json parsed(std::string_view text, size_t bytes_max) {
  if (text.size() > bytes_max)
    throw Fault{
        too_large("The body is over the limit of " + std::to_string(bytes_max) + " bytes: send less.")};
  if (nested_too_deeply(text)) fail("The body", too_deep);
  Json out = Json::parse(text, nullptr, false);
  if (out.is_discarded()) fail("The body", "must be a JSON object, and this is not JSON");
  return out;
}

TableQueries& table_of(AggregateRequest& request, const std::string& name) {
  for (TableQueries& table : request.tables) {
    if (table.table == name) return table;
  }
  request.tables.emplace_back().table = name;
  return request.tables.back();
}

AggregateRequest read_request(std::string_view body) {
  Json root = parsed(body, aggregate_body_bytes_max);
  check_members(root, "The body",
                {"queries", "device", "coverage", "verify", "siblings", "timeout_ms", "profile", "special"});
  AggregateRequest out;
  out.device = static_cast<agg::DeviceChoice>(1 + word(root, "device", "body", 0, {"auto", "cpu", "gpu"}));
  out.siblings =
      static_cast<agg::Siblings>(1 + word(root, "siblings", "body", 0, {"latest", "min", "max", "skip"}));
  out.all_partitions = word(root, "coverage", "body", 0, {"all", "available"}) == 0;
  out.verify = word(root, "verify", "body", 0, {"none", "quorum"}) == 1;
  if (root.contains("timeout_ms"))
    out.timeout_ms = static_cast<uint32_t>(whole(root["timeout_ms"], "timeout_ms", 1, 600'000));
  if (root.contains("profile")) {
    if (!root["profile"].is_boolean()) fail("profile", "must be true or false");
    out.profile = root["profile"].get<bool>();
  }
  if (!root.contains("queries") || !root["queries"].is_array() || root["queries"].empty() ||
      root["queries"].size() > agg::kQueriesMax)
    fail("queries", "must be a list of 1 to 1024 queries");
  out.queries = root["queries"].size();
  std::map<std::string, Json> texts;
  for (size_t i = 0; i < out.queries; ++i) {
    const std::string at = "queries[" + std::to_string(i) + "]";
    Json& query = root["queries"][i];
    if (!query.is_object()) fail(at, "must be a JSON object");
    std::string name(default_table);
    if (query.contains("table")) name = text_of(query["table"], at + ".table");
    if (root.contains("special") && !query.contains("special")) query["special"] = root["special"];
    if (!query.contains("id")) query["id"] = "q" + std::to_string(i + 1);
    TableQueries& table = table_of(out, name);
    read_query(query, at, table);
    table.places.push_back(i);
    texts.try_emplace(name, Json::array()).first->second.push_back(query);
  }
  for (TableQueries& table : out.tables) table.text = texts[table.table].dump();
  return out;
}

}  // namespace

Result<AggregateRequest, ErrorAnswer> parse_aggregate(std::string_view body) {
  try {
    return read_request(body);
  } catch (const Fault& fault) {
    return fault.error;
  } catch (const Json::exception& problem) {
    return bad_request(std::string("The body can't be read: ") + problem.what() + ".");
  }
}

Result<TableQueries, ErrorAnswer> read_queries(const std::string& table, std::string_view text) {
  try {
    TableQueries out;
    out.table = table;
    Json queries = parsed(text, 2 * aggregate_body_bytes_max);
    if (!queries.is_array()) fail("queries", "must be a list");
    for (size_t i = 0; i < queries.size(); ++i)
      read_query(queries[i], "queries[" + std::to_string(i) + "]", out);
    return out;
  } catch (const Fault& fault) {
    return fault.error;
  } catch (const Json::exception& problem) {
    return bad_request(std::string("The queries can't be read: ") + problem.what() + ".");
  }
}

}  // namespace covey::server
