#include "gpu/condition.h"

#include <algorithm>
#include <cmath>

#include "gpu/order.h"

namespace covey::agg {

namespace {

constexpr double kTwo63 = 9223372036854775808.0;

// -1, 0, 1; exact. REQUIRES number is not NaN
int compare_exactly(int64_t integer, double number) {
  if (number >= kTwo63) return -1;
  if (number < -kTwo63) return 1;
  const double whole = std::floor(number);
  const auto floor = static_cast<int64_t>(whole);
  if (integer != floor) return integer < floor ? -1 : 1;
  return number > whole ? -1 : 0;
}

int compare_numbers(const Value& a, const Value& b) {
  const auto* ai = std::get_if<int64_t>(&a);
  const auto* bi = std::get_if<int64_t>(&b);
  if (ai != nullptr && bi != nullptr) return *ai < *bi ? -1 : *ai > *bi ? 1 : 0;
  if (ai != nullptr) return compare_exactly(*ai, std::get<double>(b));
  if (bi != nullptr) return -compare_exactly(*bi, std::get<double>(a));
  const double x = std::get<double>(a);
  const double y = std::get<double>(b);
  return x < y ? -1 : x > y ? 1 : 0;
}

bool is_nan(const Value& value) {
  const auto* number = std::get_if<double>(&value);
  return number != nullptr && std::isnan(*number);
}

// The least key of the column whose value is >= the constant (or > it); none: there is no such value.
std::optional<uint64_t> first_key(ColumnType type, const Value& constant, bool strictly) {
  const auto beyond = [&](uint64_t key) {
    const Value value =
        type == ColumnType::kInt64 ? Value(int_from_order(key)) : Value(float_from_order(key));
    const int order = compare_numbers(value, constant);
    return strictly ? order > 0 : order >= 0;
  };
  uint64_t lo = type == ColumnType::kInt64 ? 0 : kOrderOfNegativeInfinity;
  uint64_t hi = type == ColumnType::kInt64 ? UINT64_MAX : kOrderOfInfinity;
  if (!beyond(hi)) return std::nullopt;
  while (lo < hi) {
    const uint64_t middle = lo + (hi - lo) / 2;
    if (beyond(middle)) {
      hi = middle;
    } else {
      lo = middle + 1;
    }
  }
  return lo;
}

// The greatest key whose value is <= the constant (or < it).
std::optional<uint64_t> last_key(ColumnType type, const Value& constant, bool strictly) {
  const std::optional<uint64_t> beyond = first_key(type, constant, !strictly);
  const uint64_t lowest = type == ColumnType::kInt64 ? 0 : kOrderOfNegativeInfinity;
  const uint64_t highest = type == ColumnType::kInt64 ? UINT64_MAX : kOrderOfInfinity;
  if (!beyond) return highest;
  if (*beyond == lowest) return std::nullopt;
  return *beyond - 1;
}

Error bad(std::string message) { return Error{ErrorCode::kBadQuery, std::move(message), ""}; }

std::optional<KeyRange> between(ColumnType type, const Value& from, const Value& to) {
  const auto lower = range_of(type, Compare::kGreaterEqual, from);
  const auto upper = range_of(type, Compare::kLessEqual, to);
  if (!lower || !upper || lower->lo > upper->hi) return std::nullopt;
  return KeyRange{lower->lo, upper->hi};
}

Condition compile_numbers(const Predicate& predicate, Condition condition, ColumnType type) {
  const auto as_range = [&](std::optional<KeyRange> range) {
    condition.kind = range ? Condition::Kind::kRange : Condition::Kind::kNone;
    if (range) condition.lo = range->lo, condition.hi = range->hi;
    return condition;
  };
  switch (predicate.op) {
    case Compare::kBetween:
      return as_range(between(type, predicate.values[0], predicate.values[1]));
    case Compare::kIn:
      for (const Value& value : predicate.values) {
        if (const auto range = range_of(type, Compare::kEqual, value)) condition.keys.push_back(range->lo);
      }
      std::sort(condition.keys.begin(), condition.keys.end());
      condition.keys.erase(std::unique(condition.keys.begin(), condition.keys.end()), condition.keys.end());
      if (condition.keys.size() < 2) {
        const auto only = condition.keys.empty()
                              ? std::nullopt
                              : std::optional(KeyRange{condition.keys[0], condition.keys[0]});
        condition.keys.clear();
        return as_range(only);
      }
      condition.kind = Condition::Kind::kKeys;
      return condition;
    case Compare::kNotEqual: {
      as_range(range_of(type, Compare::kEqual, predicate.values[0]));
      condition.kind =
          condition.kind == Condition::Kind::kNone ? Condition::Kind::kNotNull : Condition::Kind::kNotRange;
      return condition;
    }
    default:
      return as_range(range_of(type, predicate.op, predicate.values[0]));
  }
}

Condition compile_strings(const Predicate& predicate, Condition condition) {
  for (const Value& value : predicate.values) condition.strings.push_back(std::get<std::string>(value));
  const auto as_range = [&](int from, bool from_included, int to, bool to_included) {
    condition.kind = Condition::Kind::kStringRange;
    if (from >= 0) condition.from = condition.strings[static_cast<size_t>(from)];
    if (to >= 0) condition.to = condition.strings[static_cast<size_t>(to)];
    condition.from_included = from_included;
    condition.to_included = to_included;
    condition.strings.clear();
  };
  switch (predicate.op) {
    case Compare::kLess:
      as_range(-1, false, 0, false);
      break;
    case Compare::kLessEqual:
      as_range(-1, false, 0, true);
      break;
    case Compare::kGreater:
      as_range(0, false, -1, false);
      break;
    case Compare::kGreaterEqual:
      as_range(0, true, -1, false);
      break;
    case Compare::kBetween:
      as_range(0, true, 1, true);
      break;
    default:
      condition.kind =
          predicate.op == Compare::kNotEqual ? Condition::Kind::kNotStrings : Condition::Kind::kStrings;
      std::sort(condition.strings.begin(), condition.strings.end());
      condition.strings.erase(std::unique(condition.strings.begin(), condition.strings.end()),
                              condition.strings.end());
  }
  return condition;
}

}  // namespace

bool less_number(const Value& a, const Value& b) { return compare_numbers(a, b) < 0; }

std::optional<KeyRange> range_of(ColumnType type, Compare op, const Value& constant) {
  if (is_nan(constant)) return std::nullopt;
  const uint64_t lowest = type == ColumnType::kInt64 ? 0 : kOrderOfNegativeInfinity;
  const uint64_t highest = type == ColumnType::kInt64 ? UINT64_MAX : kOrderOfInfinity;
  if (op == Compare::kGreater || op == Compare::kGreaterEqual) {
    const auto lo = first_key(type, constant, op == Compare::kGreater);
    return lo ? std::optional(KeyRange{*lo, highest}) : std::nullopt;
  }
  if (op == Compare::kLess || op == Compare::kLessEqual) {
    const auto hi = last_key(type, constant, op == Compare::kLess);
    return hi ? std::optional(KeyRange{lowest, *hi}) : std::nullopt;
  }
  const auto lo = first_key(type, constant, false);
  const auto hi = last_key(type, constant, false);
  if (!lo || !hi || *lo > *hi) return std::nullopt;
  // 0 and -0 compare equal; columns hold only 0.
  return type == ColumnType::kFloat64 ? KeyRange{*hi, *hi} : KeyRange{*lo, *hi};
}

Result<Condition> compile(const Predicate& predicate, uint32_t column, ColumnType type) {
  Condition condition;
  condition.column = column;
  size_t least = 1;
  size_t most = 1;
  switch (predicate.op) {
    case Compare::kIn:
      most = kInListMax;
      break;
    case Compare::kBetween:
      least = most = 2;
      break;
    case Compare::kIsNull:
    case Compare::kNotNull:
      least = most = 0;
      break;
    default:
      break;
  }
  if (predicate.values.size() < least || predicate.values.size() > most) {
    return bad("a comparison of column '" + predicate.column + "' has " +
               std::to_string(predicate.values.size()) + " constants; it takes " + std::to_string(least) +
               (most > least ? " to " + std::to_string(most) : ""));
  }
  if (predicate.op == Compare::kIsNull || predicate.op == Compare::kNotNull) {
    condition.kind = predicate.op == Compare::kIsNull ? Condition::Kind::kNull : Condition::Kind::kNotNull;
    return condition;
  }
  for (const Value& value : predicate.values) {
    if (is_null(value))
      return bad("compare column '" + predicate.column + "' with null by is_null or not_null");
    const bool text = std::holds_alternative<std::string>(value);
    if (text != (type == ColumnType::kString)) {
      return bad("column '" + predicate.column + "' holds " +
                 (text ? "numbers: compare it with a number" : "strings: compare it with a string"));
    }
  }
  return type == ColumnType::kString ? compile_strings(predicate, condition)
                                     : compile_numbers(predicate, condition, type);
}

void normalize(std::vector<Condition>& conditions) {
  std::sort(conditions.begin(), conditions.end());
  std::vector<Condition> kept;
  for (Condition& condition : conditions) {
    if (!kept.empty() && kept.back() == condition) continue;
    const bool joins = !kept.empty() && kept.back().column == condition.column &&
                       kept.back().kind == Condition::Kind::kRange &&
                       condition.kind == Condition::Kind::kRange;
    if (!joins) {
      kept.push_back(std::move(condition));
      continue;
    }
    Condition& range = kept.back();
    range.lo = std::max(range.lo, condition.lo);
    range.hi = std::min(range.hi, condition.hi);
    if (range.lo > range.hi) range.kind = Condition::Kind::kNone, range.lo = range.hi = 0;
  }
  conditions = std::move(kept);
}

}  // namespace covey::agg
