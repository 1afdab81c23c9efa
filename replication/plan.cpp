#include "replication/plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "replication/bugs.h"
#include "replication/typed.h"

namespace covey {
namespace {

bool for_counter(ChangeKind kind) {
  return kind == ChangeKind::increment || kind == ChangeKind::increment_float;
}
bool for_set(ChangeKind kind) { return kind == ChangeKind::add || kind == ChangeKind::remove; }
bool adds_number(ChangeKind kind) {
  return for_counter(kind) || kind == ChangeKind::increment_field ||
         kind == ChangeKind::increment_field_float;
}
bool takes_floats(ChangeKind kind) {
  return kind == ChangeKind::increment_float || kind == ChangeKind::increment_field_float;
}
Type type_for(ChangeKind kind) {
  return for_counter(kind) ? Type::counter : for_set(kind) ? Type::set : Type::hash;
}

// As it will be read from what is stored: "1e2" is the integer 100, and counts as one at the ends of 64 bits.
std::optional<Number> written_number(std::string_view text) {
  const auto number = parse_number(text);
  return number && number->is_float ? parse_number(text_of(*number)) : number;
}

// Only the simulator's bugs ask for it: every dot up to the highest, known or not.
DotSet context_up_to_highest(const DotSet& context) {
  DotSet out;
  for (const auto& entry : context.entries()) out.add(entry.actor, {1, entry.highest()});
  return out;
}

class Planner {
 public:
  Planner(const Object& filled, uint64_t expires_ms, const PlanOptions& options)
      : live_(filled), expires_ms_(expires_ms), options_(options) {
    for (const Version& version : take_expired(live_, options.wall_ms)) plan_.covered.add(version.dot);
    type_ = type_of(live_);
    if (type_ == Type::none) cover_all();
  }

  // Of a table that shows the newest: what is not shown is overwritten by whatever is written.
  void cover_hidden() {
    for (const Version& version : take_hidden(live_)) plan_.covered.add(version.dot);
  }

  Status run(const std::vector<Change>& changes) {
    const ChangeKind kind = changes.front().kind;
    if (kind == ChangeKind::expire) return expire();
    const Type wanted = type_for(kind);
    const bool fits =
        type_ == Type::none || type_ == wanted || (wanted == Type::counter && type_ == Type::value);
    if (!fits) return Status::wrong_type;
    if (wanted == Type::set) {
      change_members(changes);
    } else if (wanted == Type::hash) {
      if (Status status = change_fields(changes); status != Status::ok) return status;
    } else {
      fold_tokens();
      for (const Change& change : changes) {
        if (Status status = increment(change); status != Status::ok) return status;
      }
      write_own_sum();
    }
    return finish();
  }

  Plan take() { return std::move(plan_); }

 private:
  void cover(const Version& version) { plan_.covered.add(version.dot); }
  void cover_all() {
    for (const Version& version : live_.versions) cover(version);
    live_.versions.clear();
  }
  Version& add(VersionKind kind, std::string name, std::string value) {
    Version& version = plan_.added.emplace_back();
    version.kind = kind;
    version.time = options_.time;
    version.name = std::move(name);
    version.value = std::move(value);
    return version;
  }
  bool covered(const Version& version) const { return plan_.covered.contains(version.dot); }
  // Whatever has replaced it is known here.
  bool replaceable(Dot dot) const {
    return dot.actor == options_.actor && dot.counter.value >= options_.own_from;
  }
  bool own(const Version& version) const {
    if (bug(Bug::sum_replaces_others)) return true;
    return replaceable(version.dot);
  }

  void change_members(const std::vector<Change>& changes) {
    std::map<std::string_view, std::vector<const Version*>> there;
    for (const Change& change : changes) there.try_emplace(change.name);
    for (const Version& version : live_.versions) {
      if (version.kind != VersionKind::member) continue;
      if (auto at = there.find(version.name); at != there.end()) at->second.push_back(&version);
    }
    std::map<std::string_view, bool> left;  // of those concerned: whether they are in it then
    for (const Change& change : changes) {
      auto [at, first] = left.try_emplace(change.name, !there[change.name].empty());
      const bool adds = change.kind == ChangeKind::add;
      if (at->second != adds) ++(adds ? plan_.changed.added : plan_.changed.removed);
      at->second = adds;
    }
    for (const auto& [name, is_left] : left) {
      for (const Version* version : there[name]) cover(*version);
      if (is_left) add(VersionKind::member, std::string(name), {});
    }
    if (changes.front().kind == ChangeKind::remove && bug(Bug::remove_covers_unseen))
      plan_.covered.join(context_up_to_highest(live_.context));
  }

  struct FieldPlan {
    std::vector<const Version*> registers, counters;
    bool there = false;  // as it is then
    bool touched = false;
    std::optional<std::string> value;  // what it is set to
    std::optional<Number> sum;         // what is added to that, or to what is there
  };

  Status change_fields(const std::vector<Change>& changes) {
    std::map<std::string_view, FieldPlan> by_name;
    for (const Change& change : changes) by_name.try_emplace(change.name);
    for (const Version& version : live_.versions) {
      if (version.kind != VersionKind::field && version.kind != VersionKind::field_counter) continue;
      auto at = by_name.find(version.name);
      if (at == by_name.end()) continue;
      (version.kind == VersionKind::field ? at->second.registers : at->second.counters).push_back(&version);
      at->second.there = true;
    }
    for (const Change& change : changes) {
      if (Status status = change_field(change, by_name[change.name]); status != Status::ok) return status;
    }
    for (auto& [name, field] : by_name) write_field(name, field);
    return Status::ok;
  }

  Status change_field(const Change& change, FieldPlan& field) {
    if (change.kind == ChangeKind::set_field_if_absent && field.there) return Status::ok;
    if (adds_number(change.kind)) return increment_field(change, field);
    const bool sets = change.kind != ChangeKind::remove_field;
    if (field.there != sets) ++(sets ? plan_.changed.added : plan_.changed.removed);
    field.there = sets;
    field.touched = true;
    field.sum.reset();
    field.value.reset();
    if (sets) field.value = change.value;
    return Status::ok;
  }

  // What the field comes to, changes of this plan included.
  std::optional<std::string> text_of_field(std::string_view name, const FieldPlan& planned) const {
    if (!planned.there) return std::nullopt;
    if (planned.touched) return planned.value;
    return field(live_, name);
  }

  Status increment_field(const Change& change, FieldPlan& field) {
    auto text = text_of_field(change.name, field);
    auto before = text ? parse_number(*text) : Number::of(0);
    const auto by = written_number(change.value);
    if (field.sum && before) before = covey::add(*before, *field.sum);
    if (!before || !by || (before->is_float && !takes_floats(change.kind))) return Status::not_a_number;
    auto after = covey::add(*before, *by);
    auto sum = field.sum ? covey::add(*field.sum, *by) : by;
    if (!after || !sum) return Status::number_overflow;
    if (!field.there) {
      // Whatever else was there is removed before this in the same request, or there was nothing.
      ++plan_.changed.added;
      field.there = true;
    }
    field.sum = sum;
    plan_.changed.value = text_of(*after);
    return Status::ok;
  }

  void write_field(std::string_view name, FieldPlan& field) {
    if (field.touched) {
      for (const auto* list : {&field.registers, &field.counters}) {
        for (const Version* version : *list) cover(*version);
      }
      if (field.value) add(VersionKind::field, std::string(name), *field.value);
    }
    if (!field.sum) return;
    Number sum = *field.sum;
    DotSet mine;
    for (const Version* version : field.counters) {
      auto number = parse_number(version->value);
      if (field.touched || !own(*version) || !number) continue;
      auto both = covey::add(sum, *number);
      if (!both) continue;
      sum = *both;
      mine.add(version->dot);
    }
    plan_.covered.join(mine);
    add(VersionKind::field_counter, std::string(name), text_of(sum));
  }

  Status increment(const Change& change) {
    const Version* value = nullptr;
    for (const Version& version : live_.versions) {
      if (version.kind == VersionKind::value && (value == nullptr || older(*value, version)))
        value = &version;
    }
    if (type_ == Type::value && !parse_number(value->value)) return Status::not_a_number;
    Number before = counter_value(live_);
    if (added_) {
      auto both = covey::add(before, *added_);
      if (!both) return Status::number_overflow;
      before = *both;
    }
    // What floats add up to is an integer if it is written as one.
    if (before.is_float && type_ != Type::value) before = parse_number(text_of(before)).value_or(before);
    const auto by = written_number(change.value);
    if (!by || ((before.is_float || by->is_float) && !takes_floats(change.kind))) return Status::not_a_number;
    if (!change.name.empty() && token_known(change.name) && !bug(Bug::token_counted_twice)) {
      plan_.changed.repeated = true;
      plan_.changed.value = text_of(before);
      return Status::ok;
    }
    auto after = covey::add(before, *by);
    auto added = added_ ? covey::add(*added_, *by) : by;
    if (!after || !added) return Status::number_overflow;
    if (!change.name.empty()) {
      if (tokens_.size() >= options_.tokens_max) return Status::too_many_tokens;
      tokens_.insert(change.name);
      add(VersionKind::token, change.name, text_of(*by));
    } else {
      sum_ = sum_ ? covey::add(*sum_, *by) : by;
      if (!sum_) return Status::number_overflow;
    }
    added_ = added;
    plan_.changed.value = text_of(*after);
    // A register's own expiry is that of the key, and of what is added to it.
    if (value != nullptr && value->expires_ms != 0 && key_expiry(live_) == 0 && expires_ms_ == 0)
      expires_ms_ = value->expires_ms;
    return Status::ok;
  }

  bool token_known(const std::string& token) const { return tokens_.contains(token); }

  // Increments whose tokens nobody sends again become part of the sum. Whose token stands here several times
  // is folded by the one whose dot is the lowest, which is the one that counts.
  void fold_tokens() {
    std::map<std::string, std::vector<const Version*>> by_token;
    for (const Version& version : live_.versions) {
      if (version.kind == VersionKind::token) by_token[version.name].push_back(&version);
    }
    for (const auto& [token, versions] : by_token) {
      Hlc latest;
      for (const Version* version : versions) latest = std::max(latest, version->time);
      const bool over = latest.ms() + options_.token_window_ms <= options_.time.ms();
      auto number = parse_number(versions.front()->value);
      const bool mine = replaceable(versions.front()->dot);
      auto folded = !over || !mine || !number ? std::nullopt
                    : folded_                 ? covey::add(*folded_, *number)
                                              : number;
      if (!folded) {
        if (!over) tokens_.insert(token);
        continue;
      }
      folded_ = folded;
      for (const Version* version : versions) cover(*version);
    }
  }

  void write_own_sum() {
    if (folded_) {
      auto both = sum_ ? covey::add(*sum_, *folded_) : folded_;
      if (!both) add(VersionKind::counter, {}, text_of(*folded_));
      if (both) sum_ = both;
    }
    if (!sum_) return;
    DotSet mine;
    for (const Version& version : live_.versions) {
      auto number = parse_number(version.value);
      if (version.kind != VersionKind::counter || !own(version) || !number) continue;
      auto both = covey::add(*sum_, *number);
      if (!both) continue;  // it stands beside the new one
      sum_ = both;
      mine.add(version.dot);
    }
    plan_.covered.join(mine);
    add(VersionKind::counter, {}, text_of(*sum_));
  }

  Status expire() {
    if (type_ == Type::none) return Status::ok;
    plan_.changed.added = 1;
    if (expired(expires_ms_, options_.wall_ms)) {
      cover_all();
      return Status::ok;
    }
    const bool values = plain(live_);
    for (const Version& version : live_.versions) {
      const bool rewrites = version.kind == VersionKind::value && (values || version.expires_ms != 0);
      if (!rewrites && version.kind != VersionKind::expiry) continue;
      cover(version);
      if (!rewrites) continue;
      Version& again = plan_.added.emplace_back(version);
      again.time = options_.time;
      again.expires_ms = values ? expires_ms_ : 0;
    }
    if (!values && expires_ms_ != 0) add(VersionKind::expiry, {}, {}).expires_ms = expires_ms_;
    return Status::ok;
  }

  // The key's expiry, and the limits.
  Status finish() {
    uint64_t elements = 0, bytes = 0, bytes_before = 0, covered_elements = 0;
    for (const Version& version : live_.versions) {
      bytes_before += version.name.size() + version.value.size();
      const bool element = version.kind != VersionKind::expiry;
      if (covered(version)) {
        covered_elements += element ? 1 : 0;
        continue;
      }
      elements += element ? 1 : 0;
      bytes += version.name.size() + version.value.size();
    }
    for (const Version& version : plan_.added) bytes += version.name.size() + version.value.size();
    const uint64_t added = plan_.added.size();
    if (elements + added > options_.elements_max && added > covered_elements)
      return Status::too_many_elements;
    if (bytes > options_.bytes_max && bytes > bytes_before) return Status::object_too_large;
    const bool gone = elements + added == 0;
    if (!gone && expires_ms_ == 0) return Status::ok;
    for (const Version& version : live_.versions) {
      if (version.kind == VersionKind::expiry) cover(version);
    }
    if (!gone) add(VersionKind::expiry, {}, {}).expires_ms = expires_ms_;
    return Status::ok;
  }

  Object live_;
  uint64_t expires_ms_;
  const PlanOptions& options_;
  Type type_ = Type::none;
  Plan plan_;
  std::set<std::string> tokens_;  // that still stand for an increment
  std::optional<Number> added_;   // by the changes so far
  std::optional<Number> sum_;     // of that without tokens
  std::optional<Number> folded_;
};

bool sound(const Change& change) {
  if (change.kind < ChangeKind::increment || change.kind >= ChangeKind::count) return false;
  if (change.name.size() > (for_counter(change.kind) ? change_token_bytes_max : element_bytes_max))
    return false;
  if (!adds_number(change.kind)) return true;
  auto number = parse_number(change.value);
  return number && (takes_floats(change.kind) || !number->is_float);
}

}  // namespace

bool sound(const std::vector<Change>& changes) {
  if (changes.empty()) return false;
  const ChangeKind kind = changes.front().kind;
  if (kind == ChangeKind::expire) return changes.size() == 1;
  return std::all_of(changes.begin(), changes.end(), [&](const Change& change) {
    return change.kind != ChangeKind::expire && sound(change) && type_for(change.kind) == type_for(kind);
  });
}

Plan plan(const Object& filled, const std::vector<Change>& changes, uint64_t expires_ms, Conflicts conflicts,
          const PlanOptions& options) {
  Planner planner(filled, expires_ms, options);
  if (conflicts == Conflicts::last_write_wins) planner.cover_hidden();
  const Status status = planner.run(changes);
  if (status != Status::ok) return {status, {}, {}, {}};
  return planner.take();
}

}  // namespace covey
