#include "gpu/plan.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "gpu/condition.h"
#include "gpu/mix.h"
#include "gpu/order.h"

namespace covey::agg {

namespace {

Error bad(const Query& query, const std::string& message, const std::string& subject = "") {
  const std::string name = query.id.empty() ? "" : "query '" + query.id + "': ";
  return Error{ErrorCode::kBadQuery, name + message, subject};
}

uint32_t needs_of(const Aggregate& aggregate) {
  switch (aggregate.kind) {
    case AggregateKind::kSum:
    case AggregateKind::kAvg:
      return kNeedSum;
    case AggregateKind::kMin:
    case AggregateKind::kMax:
      return kNeedMinMax;
    case AggregateKind::kVar:
    case AggregateKind::kStddev:
      return kNeedSum | kNeedSquares;
    case AggregateKind::kQuantile:
      return kNeedSketch | kNeedMinMax;
    case AggregateKind::kDistinct:
      return kNeedDistinct;
    case AggregateKind::kFirst:
      return kNeedFirst;
    case AggregateKind::kLast:
      return kNeedLast;
    case AggregateKind::kCount:
    case AggregateKind::kHistogram:
      return 0;
  }
  return 0;
}

// A canonical writing of what matters in a query, for the fingerprint.
class Writing {
 public:
  void number(uint64_t value) { text_.append(reinterpret_cast<const char*>(&value), sizeof value); }
  void text(const std::string& value) {
    number(value.size());
    text_ += value;
  }
  void value(const Value& value) {
    number(value.index());
    if (const auto* integer = std::get_if<int64_t>(&value)) number(static_cast<uint64_t>(*integer));
    if (const auto* real = std::get_if<double>(&value)) number(bits_of(*real));
    if (const auto* string = std::get_if<std::string>(&value)) text(*string);
  }
  void query(const Query& query) {
    number(query.where.size());
    for (const Predicate& predicate : query.where) {
      text(predicate.column);
      number(static_cast<uint64_t>(predicate.op));
      number(predicate.values.size());
      for (const Value& constant : predicate.values) value(constant);
    }
    number(query.row_set ? *query.row_set + uint64_t{1} : 0);
    number(query.group_by.size());
    for (const std::string& column : query.group_by) text(column);
    number(query.limit_groups);
    number(static_cast<uint64_t>(query.special));
    number(query.aggregates.size());
    for (const Aggregate& aggregate : query.aggregates) {
      number(static_cast<uint64_t>(aggregate.kind));
      text(aggregate.column);
      number(aggregate.ddof);
      number(static_cast<uint64_t>(aggregate.mode));
      number(aggregate.q.size());
      for (const double q : aggregate.q) number(bits_of(q));
      number(aggregate.edges.size());
      for (const Value& edge : aggregate.edges) value(edge);
    }
  }
  uint64_t hash() const { return hash_text(text_); }

 private:
  std::string text_;
};

}  // namespace

class Planner {
 public:
  Planner(const Schema& schema, PlanOptions options) {
    plan_.schema_ = schema;
    plan_.options_ = options;
  }

  Result<Plan> make(std::vector<Query> queries) {
    if (queries.empty() || queries.size() > kQueriesMax) {
      return Error{ErrorCode::kBadQuery, "a batch has 1 to " + std::to_string(kQueriesMax) + " queries", ""};
    }
    for (Query& query : queries) {
      if (Status added = add(std::move(query)); !added) return added.error();
    }
    finish();
    return std::move(plan_);
  }

 private:
  Result<uint32_t> column(const Query& query, const std::string& name) {
    const int index = plan_.schema_.find(name);
    if (index < 0) {
      return Error{ErrorCode::kUnknownColumn, bad(query, "the table has no column '" + name + "'").message,
                   name};
    }
    columns_.insert(static_cast<uint32_t>(index));
    return static_cast<uint32_t>(index);
  }

  Status add(Query query) {
    if (Status checked = check_limits(query); !checked) return checked;
    Selection wanted;
    for (const Predicate& predicate : query.where) {
      const Result<uint32_t> index = column(query, predicate.column);
      if (!index) return index.error();
      Result<Condition> condition = compile(predicate, *index, plan_.schema_.columns[*index].type);
      if (!condition) return bad(query, condition.error().message, predicate.column);
      wanted.conditions.push_back(std::move(*condition));
    }
    normalize(wanted.conditions);
    wanted.row_set = query.row_set;
    if (query.row_set) plan_.row_sets_ = std::max(plan_.row_sets_, *query.row_set + 1);
    for (const std::string& name : query.group_by) {
      const Result<uint32_t> index = column(query, name);
      if (!index) return index.error();
      wanted.group_by.push_back(*index);
    }
    CompiledQuery compiled;
    compiled.selection = selection(std::move(wanted), query.limit_groups);
    std::set<uint32_t> named;
    for (const Aggregate& aggregate : query.aggregates) {
      Result<Output> output = this->output(query, aggregate, compiled.selection);
      if (!output) return output.error();
      if (output->measure != UINT32_MAX) named.insert(plan_.measures_[output->measure].column);
      compiled.outputs.push_back(*output);
    }
    for (const uint32_t index : named) compiled.note_measures.push_back(measure(compiled.selection, index));
    compiled.query = std::move(query);
    plan_.queries_.push_back(std::move(compiled));
    return Done{};
  }

  Status check_limits(const Query& query) {
    const auto limit = [&](size_t size, size_t most, const char* what) -> Status {
      if (size <= most) return Done{};
      return bad(query, "at most " + std::to_string(most) + " " + what + ", not " + std::to_string(size));
    };
    if (Status ok = limit(query.where.size(), kPredicatesMax, "conditions"); !ok) return ok;
    if (Status ok = limit(query.group_by.size(), kGroupColumnsMax, "columns to group by"); !ok) return ok;
    if (Status ok = limit(query.aggregates.size(), kAggregatesMax, "aggregates"); !ok) return ok;
    if (query.aggregates.empty()) return bad(query, "ask for one aggregate at least");
    if (query.row_set && *query.row_set >= kRowSetsMax)
      return bad(query, "too many sets of keys in one batch");
    if (query.limit_groups == 0 || query.limit_groups > kGroupsMax) {
      return bad(query, "limit_groups is 1 to " + std::to_string(kGroupsMax));
    }
    return Done{};
  }

  uint32_t selection(Selection wanted, uint64_t limit_groups) {
    for (uint32_t i = 0; i < plan_.selections_.size(); ++i) {
      Selection& known = plan_.selections_[i];
      if (known.conditions == wanted.conditions && known.row_set == wanted.row_set &&
          known.group_by == wanted.group_by) {
        known.limit_groups = std::max(known.limit_groups, limit_groups);
        return i;
      }
    }
    wanted.limit_groups = limit_groups;
    plan_.selections_.push_back(std::move(wanted));
    return static_cast<uint32_t>(plan_.selections_.size() - 1);
  }

  uint32_t measure(uint32_t selection, uint32_t column) {
    for (const uint32_t known : plan_.selections_[selection].measures) {
      if (plan_.measures_[known].column == column) return known;
    }
    Measure added;
    added.selection = selection;
    added.column = column;
    added.type = plan_.schema_.columns[column].type;
    plan_.measures_.push_back(std::move(added));
    const auto index = static_cast<uint32_t>(plan_.measures_.size() - 1);
    plan_.selections_[selection].measures.push_back(index);
    return index;
  }

  Result<Output> output(const Query& query, const Aggregate& aggregate, uint32_t selection) {
    if (aggregate.column.empty()) {
      if (aggregate.kind == AggregateKind::kCount) return Output{};
      return bad(query, "aggregate '" + aggregate.name + "' names no column");
    }
    const Result<uint32_t> index = column(query, aggregate.column);
    if (!index) return index.error();
    const ColumnType type = plan_.schema_.columns[*index].type;
    if (type == ColumnType::kString && aggregate.kind != AggregateKind::kCount &&
        aggregate.kind != AggregateKind::kDistinct) {
      return Error{ErrorCode::kNotNumeric,
                   bad(query, "aggregate '" + aggregate.name + "' needs numbers, column '" +
                                  aggregate.column + "' holds strings")
                       .message,
                   aggregate.column};
    }
    if (Status checked = check_parameters(query, aggregate); !checked) return checked.error();
    Output result;
    result.measure = measure(selection, *index);
    Measure& states = plan_.measures_[result.measure];
    states.needs |= needs_of(aggregate);
    if (aggregate.kind == AggregateKind::kFirst || aggregate.kind == AggregateKind::kLast) {
      columns_.insert(static_cast<uint32_t>(plan_.schema_.columns.size()));
    }
    if (aggregate.kind == AggregateKind::kHistogram) {
      Result<std::vector<uint64_t>> edges = this->edges(query, aggregate, type);
      if (!edges) return edges.error();
      const auto known = std::find(states.edges.begin(), states.edges.end(), *edges);
      result.histogram = static_cast<uint32_t>(known - states.edges.begin());
      if (known == states.edges.end()) states.edges.push_back(std::move(*edges));
    }
    return result;
  }

  Status check_parameters(const Query& query, const Aggregate& aggregate) {
    if (aggregate.ddof > 1000000) return bad(query, "ddof is at most 1,000,000", aggregate.column);
    if (aggregate.kind != AggregateKind::kQuantile) return Done{};
    if (aggregate.q.empty() || aggregate.q.size() > kQuantilesMax) {
      return bad(query, "a quantile takes 1 to " + std::to_string(kQuantilesMax) + " values of q",
                 aggregate.column);
    }
    for (const double q : aggregate.q) {
      if (!(q >= 0 && q <= 1)) return bad(query, "q is from 0 to 1", aggregate.column);
    }
    return Done{};
  }

  // Bin i is [edges[i], edges[i + 1]) of keys; the last edge itself is in the last bin.
  Result<std::vector<uint64_t>> edges(const Query& query, const Aggregate& aggregate, ColumnType type) {
    if (aggregate.edges.size() < 2 || aggregate.edges.size() > kEdgesMax) {
      return bad(query, "a histogram has 2 to " + std::to_string(kEdgesMax) + " edges", aggregate.column);
    }
    std::vector<uint64_t> keys;
    for (size_t i = 0; i < aggregate.edges.size(); ++i) {
      const Value& edge = aggregate.edges[i];
      const auto* real = std::get_if<double>(&edge);
      if (is_null(edge) || std::holds_alternative<std::string>(edge) ||
          (real != nullptr && !std::isfinite(*real))) {
        return bad(query, "the edges of a histogram are finite numbers", aggregate.column);
      }
      if (i > 0 && !less_number(aggregate.edges[i - 1], edge)) {
        return bad(query, "the edges of a histogram rise", aggregate.column);
      }
      const bool last = i + 1 == aggregate.edges.size();
      const auto from = range_of(type, last ? Compare::kGreater : Compare::kGreaterEqual, edge);
      if (!from)
        return bad(query, "the edges of a histogram of integers are below 2^63 - 1", aggregate.column);
      keys.push_back(from->lo);
    }
    return keys;
  }

  void finish() {
    plan_.columns_.assign(columns_.begin(), columns_.end());
    Writing writing;
    writing.text("covey plan 1");
    writing.number(plan_.schema_.columns.size());
    for (const ColumnSpec& spec : plan_.schema_.columns) {
      writing.text(spec.name);
      writing.number(static_cast<uint64_t>(spec.type));
    }
    writing.number(static_cast<uint64_t>(plan_.options_.siblings));
    for (const CompiledQuery& query : plan_.queries_) writing.query(query.query);
    plan_.fingerprint_ = writing.hash();
  }

  Plan plan_;
  std::set<uint32_t> columns_;
};

Result<Plan> Plan::make(const Schema& schema, std::vector<Query> queries, PlanOptions options) {
  return Planner(schema, options).make(std::move(queries));
}

}  // namespace covey::agg
