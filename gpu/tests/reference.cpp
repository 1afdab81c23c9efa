#include "gpu/tests/reference.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "gpu/big_int.h"
#include "gpu/order.h"

namespace covey::agg::test {

namespace {

constexpr int kScale = 10;  // numbers are multiples of 2^-10

double number(const Value& value) {
  if (const auto* integer = std::get_if<int64_t>(&value)) return static_cast<double>(*integer);
  return std::get<double>(value);
}

bool special(const Value& value) {
  const auto* real = std::get_if<double>(&value);
  return real != nullptr && !std::isfinite(*real);
}

// Numbers here are small: their doubles are exact.
int compare(const Value& a, const Value& b) {
  if (const auto* text = std::get_if<std::string>(&a)) return text->compare(std::get<std::string>(b));
  return number(a) < number(b) ? -1 : number(a) > number(b) ? 1 : 0;
}

bool holds(const Predicate& predicate, const Value& value) {
  if (predicate.op == Compare::kIsNull) return is_null(value);
  if (is_null(value)) return false;
  if (predicate.op == Compare::kNotNull) return true;
  const bool nan = std::holds_alternative<double>(value) && std::isnan(std::get<double>(value));
  if (nan) return predicate.op == Compare::kNotEqual;
  const int order = compare(value, predicate.values[0]);
  switch (predicate.op) {
    case Compare::kEqual:
      return order == 0;
    case Compare::kNotEqual:
      return order != 0;
    case Compare::kLess:
      return order < 0;
    case Compare::kLessEqual:
      return order <= 0;
    case Compare::kGreater:
      return order > 0;
    case Compare::kGreaterEqual:
      return order >= 0;
    case Compare::kBetween:
      return order >= 0 && compare(value, predicate.values[1]) <= 0;
    default:
      return std::any_of(predicate.values.begin(), predicate.values.end(),
                         [&](const Value& one) { return compare(value, one) == 0; });
  }
}

Value resolved(const Row& row, size_t column, Siblings policy) {
  if (row.siblings.empty() || policy == Siblings::kLatest) return row.values[column];
  Value best;
  for (const RowVersion& version : row.siblings) {
    const Value& value = version.values[column];
    if (is_null(value)) continue;
    const int order = is_null(best) ? 0 : compare(value, best);
    if (is_null(best) || (policy == Siblings::kMin ? order < 0 : order > 0)) best = value;
  }
  return best;
}

struct KeyOrder {
  bool operator()(const std::vector<Value>& a, const std::vector<Value>& b) const {
    for (size_t i = 0; i < a.size(); ++i) {
      if (a[i].index() != b[i].index()) return a[i].index() < b[i].index();
      if (is_null(a[i])) continue;
      if (const auto* real = std::get_if<double>(&a[i])) {
        const uint64_t x = order_float(*real), y = order_float(std::get<double>(b[i]));
        if (x != y) return x < y;
        continue;
      }
      if (const int order = compare(a[i], b[i]); order != 0) return order < 0;
    }
    return false;
  }
};

struct Chosen {
  int64_t time;
  std::vector<Value> values;
};

// Of the finite values of one column, in order.
AggregateAnswer evaluate(const Aggregate& aggregate, ColumnType type,
                         std::vector<std::pair<Value, int64_t>> cells) {
  AggregateAnswer answer;
  const bool ints = type == ColumnType::kInt64;
  std::vector<std::pair<Value, int64_t>> all = cells;
  std::erase_if(cells, [](const auto& cell) { return special(cell.first); });
  std::stable_sort(cells.begin(), cells.end(),
                   [](const auto& a, const auto& b) { return compare(a.first, b.first) < 0; });
  const auto as_number = [&](const Value& value) {
    return ints ? Number(std::get<int64_t>(value)) : Number(std::get<double>(value));
  };
  const size_t n = cells.size();
  Int128 sum = 0, squares = 0;
  for (const auto& [value, time] : cells) {
    if (type == ColumnType::kString) break;
    const auto scaled = static_cast<int64_t>(number(value) * (1 << kScale));
    sum += scaled;
    squares += static_cast<Int128>(scaled) * scaled;
  }
  const auto big = [](Int128 value) {
    return BigInt(static_cast<uint64_t>(value >> 64)) * (BigInt(1) << 64) +
           BigInt(static_cast<uint64_t>(value));
  };
  switch (aggregate.kind) {
    case AggregateKind::kCount:
      answer.values = {static_cast<int64_t>(all.size())};
      break;
    case AggregateKind::kSum:
      answer.values = {n == 0 ? Number()
                       : ints ? Number(static_cast<int64_t>(sum >> kScale))
                              : Number(std::ldexp(static_cast<double>(sum), -kScale))};
      break;
    case AggregateKind::kAvg:
      answer.values = {
          n == 0 ? Number() : Number(round_quotient(big(sum < 0 ? -sum : sum), -kScale, BigInt(n), sum < 0))};
      break;
    case AggregateKind::kMin:
      answer.values = {n == 0 ? Number() : as_number(cells.front().first)};
      break;
    case AggregateKind::kMax:
      answer.values = {n == 0 ? Number() : as_number(cells.back().first)};
      break;
    case AggregateKind::kVar:
    case AggregateKind::kStddev: {
      if (n <= aggregate.ddof) {
        answer.values = {Number()};
        break;
      }
      const Int128 top = static_cast<Int128>(n) * squares - sum * sum;
      const BigInt below = BigInt(n) * BigInt(n - aggregate.ddof);
      answer.values = {aggregate.kind == AggregateKind::kVar
                           ? round_quotient(big(top), -2 * kScale, below, false)
                           : round_root_of_quotient(big(top), -2 * kScale, below)};
      break;
    }
    case AggregateKind::kQuantile:
      for (const double q : aggregate.q) {
        const auto rank = static_cast<size_t>(std::max(1.0, std::ceil(q * static_cast<double>(n))));
        answer.values.push_back(n == 0 ? Number() : as_number(cells[rank - 1].first));
      }
      break;
    case AggregateKind::kDistinct: {
      std::set<std::vector<Value>, KeyOrder> seen;
      for (const auto& cell : cells) seen.insert({cell.first});
      answer.values = {static_cast<int64_t>(seen.size())};
      break;
    }
    case AggregateKind::kHistogram: {
      answer.counts.resize(aggregate.edges.size() - 1);
      for (const auto& [value, time] : cells) {
        size_t at = 0;
        while (at < aggregate.edges.size() && compare(value, aggregate.edges[at]) >= 0) ++at;
        if (at == aggregate.edges.size() && compare(value, aggregate.edges.back()) == 0) --at;
        if (at == 0) {
          ++answer.below;
        } else if (at == aggregate.edges.size()) {
          ++answer.above;
        } else {
          ++answer.counts[at - 1];
        }
      }
      break;
    }
    case AggregateKind::kFirst:
    case AggregateKind::kLast: {
      const bool last = aggregate.kind == AggregateKind::kLast;
      const auto before = [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second < b.second : compare(a.first, b.first) < 0;
      };
      const auto found = last ? std::max_element(cells.begin(), cells.end(), before)
                              : std::min_element(cells.begin(), cells.end(), before);
      answer.values = {found == cells.end() ? Number() : as_number(found->first)};
      break;
    }
  }
  return answer;
}

}  // namespace

std::string reference_answer(const Schema& schema, const std::vector<Row>& rows, const Query& query,
                             Siblings siblings) {
  std::map<std::vector<Value>, std::vector<Chosen>, KeyOrder> groups;
  if (query.group_by.empty()) groups[{}];
  for (const Row& row : rows) {
    if (siblings == Siblings::kSkip && !row.siblings.empty()) continue;
    Chosen chosen{row.time, {}};
    for (const RowVersion& version : row.siblings) {
      if (siblings != Siblings::kLatest) chosen.time = std::max(chosen.time, version.time);
    }
    for (size_t i = 0; i < schema.columns.size(); ++i) chosen.values.push_back(resolved(row, i, siblings));
    const bool kept = std::all_of(query.where.begin(), query.where.end(), [&](const Predicate& predicate) {
      return holds(predicate, chosen.values[static_cast<size_t>(schema.find(predicate.column))]);
    });
    if (!kept) continue;
    std::vector<Value> key;
    for (const std::string& name : query.group_by)
      key.push_back(chosen.values[static_cast<size_t>(schema.find(name))]);
    groups[key].push_back(std::move(chosen));
  }
  Answered answer;
  for (const auto& [key, chosen] : groups) {
    GroupAnswer& group = answer.groups.emplace_back();
    group.key = key;
    group.rows = chosen.size();
    std::set<uint32_t> named;
    for (const Aggregate& aggregate : query.aggregates) {
      if (aggregate.column.empty()) {
        group.aggregates.emplace_back().values = {static_cast<int64_t>(chosen.size())};
        continue;
      }
      const auto column = static_cast<uint32_t>(schema.find(aggregate.column));
      named.insert(column);
      std::vector<std::pair<Value, int64_t>> cells;
      for (const Chosen& row : chosen) {
        if (!is_null(row.values[column])) cells.emplace_back(row.values[column], row.time);
      }
      group.aggregates.push_back(evaluate(aggregate, schema.columns[column].type, std::move(cells)));
    }
    for (const uint32_t column : named) {
      ColumnNote note{column, 0, 0, 0, 0};
      for (const Chosen& row : chosen) {
        if (is_null(row.values[column])) ++note.nulls;
        if (is_null(row.values[column]) || !special(row.values[column])) continue;
        const double value = number(row.values[column]);
        ++(std::isnan(value) ? note.nan : value > 0 ? note.positive_infinities : note.negative_infinities);
      }
      group.notes.push_back(note);
    }
  }
  return text_of(answer);
}

}  // namespace covey::agg::test
