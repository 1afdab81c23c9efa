#include "server/aggregate_reply.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>

#include "server/text.h"

namespace covey::server {
namespace {

// The shortest text that reads back as the same double; with a point or an exponent, so that it stays one.
void append_double(std::string& out, double number) {
  if (std::isnan(number)) {
    out.append("\"NaN\"");
    return;
  }
  if (std::isinf(number)) {
    out.append(number > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    return;
  }
  char text[40];
  auto [end, error] = std::to_chars(text, text + sizeof text, number);
  COVEY_ASSERT(error == std::errc{});
  std::string_view digits(text, static_cast<size_t>(end - text));
  out.append(digits);
  if (digits.find_first_of(".e") == std::string_view::npos) out.append(".0");
}

void append_integer(std::string& out, int64_t number) { out.append(std::to_string(number)); }

void append_value(std::string& out, const agg::Value& value) {
  if (const auto* whole = std::get_if<int64_t>(&value)) {
    append_integer(out, *whole);
  } else if (const auto* real = std::get_if<double>(&value)) {
    append_double(out, *real);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    append_json_string(out, *text);
  } else {
    out.append("null");
  }
}

void append_result(std::string& out, const agg::Number& number) {
  if (const auto* whole = std::get_if<int64_t>(&number)) {
    append_integer(out, *whole);
  } else if (const auto* real = std::get_if<double>(&number)) {
    append_double(out, *real);
  } else if (const auto* decimal = std::get_if<agg::Decimal>(&number)) {
    out.append("\"").append(decimal->digits).append("\"");
  } else {
    out.append("null");
  }
}

void append_bits(std::string& out, const agg::Number& number) {
  const auto* real = std::get_if<double>(&number);
  if (real == nullptr) {
    out.append("null");
    return;
  }
  char text[24];
  std::snprintf(text, sizeof text, "\"0x%016llx\"",
                static_cast<unsigned long long>(std::bit_cast<uint64_t>(*real)));
  out.append(text);
}

void append_member(std::string& out, std::string_view name) {
  if (out.back() != '{' && out.back() != '[') out.push_back(',');
  append_json_string(out, name);
  out.push_back(':');
}

// A list, or its one element.
template <class Each>
void append_list(std::string& out, const std::vector<agg::Number>& numbers, bool list, const Each& each) {
  if (list) out.push_back('[');
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) out.push_back(',');
    each(out, numbers[i]);
  }
  if (list) out.push_back(']');
}

void append_histogram(std::string& out, const agg::AggregateAnswer& answer) {
  out.append("{\"counts\":[");
  for (size_t i = 0; i < answer.counts.size(); ++i) {
    if (i > 0) out.push_back(',');
    append_number(out, answer.counts[i]);
  }
  out.append("],\"below\":");
  append_number(out, answer.below);
  out.append(",\"above\":");
  append_number(out, answer.above);
  out.push_back('}');
}

bool has_doubles(const agg::AggregateAnswer& answer) {
  for (const agg::Number& number : answer.values) {
    if (std::holds_alternative<double>(number)) return true;
  }
  return false;
}

void append_aggregates(std::string& out, const agg::Query& query, const std::vector<bool>& one_quantile,
                       const agg::GroupAnswer& group) {
  auto is_list = [&](size_t i) {
    return query.aggregates[i].kind == agg::AggregateKind::kQuantile && !one_quantile[i];
  };
  for (size_t i = 0; i < group.aggregates.size(); ++i) {
    append_member(out, query.aggregates[i].name);
    if (query.aggregates[i].kind == agg::AggregateKind::kHistogram) {
      append_histogram(out, group.aggregates[i]);
    } else {
      append_list(out, group.aggregates[i].values, is_list(i),
                  [](std::string& text, const agg::Number& number) { append_result(text, number); });
    }
  }
  append_member(out, "exact");
  out.push_back('{');
  for (size_t i = 0; i < group.aggregates.size(); ++i) {
    if (!has_doubles(group.aggregates[i])) continue;
    append_member(out, query.aggregates[i].name);
    append_list(out, group.aggregates[i].values, is_list(i), append_bits);
  }
  out.push_back('}');
  std::string approximate;
  for (size_t i = 0; i < group.aggregates.size(); ++i) {
    if (!group.aggregates[i].approximate) continue;
    if (!approximate.empty()) approximate.push_back(',');
    append_json_string(approximate, query.aggregates[i].name);
  }
  if (approximate.empty()) return;
  append_member(out, "approximate");
  out.append("[").append(approximate).append("]");
}

void append_column_notes(std::string& out, const agg::Schema& schema, const agg::GroupAnswer& group) {
  append_member(out, "nulls");
  out.push_back('{');
  for (const agg::ColumnNote& note : group.notes) {
    append_member(out, schema.columns[note.column].name);
    append_number(out, note.nulls);
  }
  out.push_back('}');
  append_member(out, "special");
  out.push_back('{');
  for (const agg::ColumnNote& note : group.notes) {
    if (schema.columns[note.column].type != agg::ColumnType::kFloat64) continue;
    append_member(out, schema.columns[note.column].name);
    out.append("{\"nan\":");
    append_number(out, note.nan);
    out.append(",\"inf\":");
    append_number(out, note.positive_infinities + note.negative_infinities);
    out.push_back('}');
  }
  out.push_back('}');
}

}  // namespace

void append_answer(std::string& out, const agg::Schema& schema, const agg::Query& query,
                   const std::vector<bool>& one_quantile, const agg::QueryAnswer& answer) {
  out.append("{\"id\":");
  append_json_string(out, query.id);
  out.append(",\"groups\":[");
  agg::GroupAnswer group;
  for (size_t i = 0; i < answer.groups(); ++i) {
    answer.read(i, group);
    out.append(i > 0 ? ",{\"key\":[" : "{\"key\":[");
    for (size_t k = 0; k < group.key.size(); ++k) {
      if (k > 0) out.push_back(',');
      append_value(out, group.key[k]);
    }
    out.append("],\"rows\":");
    append_number(out, group.rows);
    append_aggregates(out, query, one_quantile, group);
    append_column_notes(out, schema, group);
    out.push_back('}');
  }
  out.append("]}");
}

ErrorAnswer error_of(const agg::Error& error, const std::string& query) {
  ErrorAnswer out = bad_request(error.message);
  switch (error.code) {
    case agg::ErrorCode::kUnknownColumn:
      out.status = 404;
      out.code = "no_such_column";
      break;
    case agg::ErrorCode::kNotNumeric:
      out.status = 422;
      out.code = "not_numeric";
      break;
    case agg::ErrorCode::kTooManyGroups:
      out.status = 413;
      out.code = "too_many_groups";
      break;
    case agg::ErrorCode::kTooLarge:
    case agg::ErrorCode::kOutOfMemory:
      out.status = 413;
      out.code = "too_large";
      break;
    case agg::ErrorCode::kNoDevice:
      out.status = 503;
      out.code = "no_gpu";
      break;
    case agg::ErrorCode::kColumnNotReady:
      out.status = 503;
      out.code = "unavailable";
      break;
    case agg::ErrorCode::kCancelled:
      out.status = 504;
      out.code = "timeout";
      break;
    case agg::ErrorCode::kBadQuery:
      break;
    default:
      out.status = 500;
      out.code = "aggregate_failed";
      break;
  }
  if (!query.empty()) {
    out.details.append(",\"query\":");
    append_json_string(out.details, query);
  }
  if (!error.subject.empty()) {
    out.details.append(",\"column\":");
    append_json_string(out.details, error.subject);
  }
  return out;
}

namespace {

// ,"NAME":[...],"reasons":{...}
void append_partitions(std::string& out, const char* name,
                       const std::vector<std::pair<uint32_t, std::string>>& partitions) {
  out.append(",\"").append(name).append("\":[");
  std::map<std::string, uint64_t> reasons;
  for (size_t i = 0; i < partitions.size(); ++i) {
    if (i > 0) out.push_back(',');
    append_number(out, partitions[i].first);
    ++reasons[partitions[i].second];
  }
  out.append("]");
  if (reasons.empty()) return;
  out.append(",\"reasons\":{");
  for (const auto& [reason, count] : reasons) {
    append_member(out, reason);
    append_number(out, count);
  }
  out.push_back('}');
}

}  // namespace

void append_missing(std::string& out, const AggregateNotes& notes) {
  append_partitions(out, "missing", notes.missing);
}

void append_verified(std::string& out, const AggregateVerdict& verdict, const AggregateNotes& notes,
                     size_t owners) {
  out.append(",\"verified\":{\"owners\":");
  append_number(out, owners);
  out.append(",\"equal\":");
  append_number(out, verdict.equal());
  out.append(",\"diverging\":[");
  for (uint32_t partition : verdict.diverging()) {
    if (out.back() != '[') out.push_back(',');
    append_number(out, partition);
  }
  out.push_back(']');
  append_partitions(out, "unverified", notes.unverified);
  out.push_back('}');
}

ErrorAnswer replicas_differ(const AggregateVerdict& verdict) {
  ErrorAnswer error{500, "replicas_differ", {}, {}};
  error.message = std::to_string(verdict.broken().size()) +
                  " partitions gave different results on owners whose clocks are equal: one of them is "
                  "damaged, compare their data and restore it.";
  error.details = ",\"partitions\":[";
  for (const AggregateVerdict::Difference& difference : verdict.broken()) {
    if (error.details.back() != '[') error.details.push_back(',');
    error.details.append("{\"partition\":");
    append_number(error.details, difference.partition);
    error.details.append(",\"nodes\":[");
    for (const std::string& node : difference.nodes) {
      if (error.details.back() != '[') error.details.push_back(',');
      append_json_string(error.details, node);
    }
    error.details.append("]}");
  }
  error.details.push_back(']');
  return error;
}

void append_notes(std::string& out, const AggregateNotes& notes) {
  out.append(",\"coverage\":{\"partitions\":");
  append_number(out, notes.partitions);
  out.append(",\"answered\":");
  append_number(out, notes.partitions - notes.missing.size());
  append_missing(out, notes);
  out.append("},\"as_of\":{\"max_lag_ms\":");
  append_number(out, notes.lag_ms);
  out.append(",\"stand_in_rows\":");
  append_number(out, notes.stand_in_rows);
  out.append(",\"conflicted_keys\":");
  append_number(out, notes.conflicted_keys);
  out.push_back('}');
}

void append_profile(std::string& out, const AggregateNotes& notes, double total_us) {
  const AggregatePhases& phases = notes.phases;
  // Whole microseconds that add up: each is rounded down, and the network has the rest.
  auto whole = [](double us) { return static_cast<uint64_t>(std::max(0.0, us)); };
  const std::pair<const char*, double> parts[] = {
      {"parse", phases.parse},       {"plan", phases.plan},     {"queue", phases.queue},
      {"apply", phases.apply},       {"upload", phases.upload}, {"scan", phases.scan},
      {"download", phases.download}, {"merge", phases.merge},   {"encode", phases.encode}};
  uint64_t sum = 0;
  for (const auto& [name, us] : parts) sum += whole(us);
  const uint64_t total = std::max(whole(total_us), sum);
  out.append(",\"profile\":{\"total_us\":");
  append_number(out, total);
  out.append(",\"phases_us\":{");
  for (const auto& [name, us] : parts) {
    append_member(out, name);
    append_number(out, whole(us));
  }
  append_member(out, "network");
  append_number(out, total - sum);
  out.append("},\"device\":");
  append_json_string(out, notes.device);
  out.append(",\"reason\":");
  append_json_string(out, notes.reason);
  out.append(",\"bytes_scanned\":");
  append_number(out, notes.bytes_scanned);
  out.append(",\"gb_per_s\":");
  append_double(
      out, phases.scan > 0 ? std::round(static_cast<double>(notes.bytes_scanned) / phases.scan) / 1000 : 0);
  out.append(",\"shared_with\":");
  append_number(out, notes.shared_with);
  out.append(",\"nodes\":");
  append_number(out, notes.nodes);
  out.append(",\"loading\":");
  append_number(out, notes.loading.size());
  out.push_back('}');
}

}  // namespace covey::server
