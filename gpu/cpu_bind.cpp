#include "gpu/cpu_bind.h"

#include <algorithm>
#include <unordered_map>

#include "gpu/order.h"

namespace covey::agg {

namespace {

constexpr uint64_t kDenseGroupsMax = uint64_t{1} << 20;

bool string_allowed(const Condition& condition, const std::string& text) {
  switch (condition.kind) {
    case Condition::Kind::kStrings:
      return std::binary_search(condition.strings.begin(), condition.strings.end(), text);
    case Condition::Kind::kNotStrings:
      return !std::binary_search(condition.strings.begin(), condition.strings.end(), text);
    default:
      if (condition.from && (condition.from_included ? text < *condition.from : text <= *condition.from))
        return false;
      return !condition.to || (condition.to_included ? text <= *condition.to : text < *condition.to);
  }
}

CodeTable code_table(const Condition& condition, const Dictionary& dictionary) {
  CodeTable table;
  table.dictionary = &dictionary;
  table.allowed.resize(dictionary.end() + size_t{1});
  if (condition.kind == Condition::Kind::kStrings) {
    for (const std::string& text : condition.strings) {
      const uint32_t code = dictionary.find(text);
      if (code == Dictionary::kNone) continue;
      table.allowed[code] = 1;
      table.only = code;
      ++table.count;
    }
    return table;
  }
  for (uint32_t code = 0; code < dictionary.end(); ++code) {
    if (!dictionary.holds(code) || !string_allowed(condition, dictionary.text(code))) continue;
    table.allowed[code] = 1;
    table.only = code;
    ++table.count;
  }
  return table;
}

class Binder {
 public:
  Binder(const Plan& plan, std::span<const PartitionInput> inputs) : plan_(plan), given_(inputs) {
    scan_.plan = &plan;
  }

  Result<BoundScan> bind() {
    for (const PartitionInput& input : given_) {
      if (input.store == nullptr || !(input.store->schema() == plan_.schema()) ||
          input.row_sets.size() < plan_.row_sets()) {
        return Error{ErrorCode::kMismatch,
                     "the columns have changed since the question was planned: ask again", ""};
      }
      if (!add_input(input))
        return Error{ErrorCode::kOutOfMemory, "no memory for the rows with siblings", ""};
    }
    uint64_t rows = 0;
    for (uint32_t i = 0; i < scan_.inputs.size(); ++i) {
      const ColumnStore& store = *scan_.inputs[i].store;
      rows += store.rows();
      for (uint32_t tile = 0; tile < store.tiles(); ++tile) {
        if (store.live_rows(tile) > 0) scan_.units.push_back({i, tile});
      }
    }
    find_bounds();
    find_not_ready();
    for (const Selection& selection : plan_.selections())
      scan_.selections.push_back(bind_selection(selection, rows));
    return std::move(scan_);
  }

 private:
  bool add_input(const PartitionInput& input) {
    BoundInput& bound = scan_.inputs.emplace_back();
    bound.store = input.store;
    bound.row_sets = input.row_sets;
    const Siblings policy = plan_.options().siblings;
    if (policy == Siblings::kLatest || input.store->conflicted_rows() == 0) return true;
    auto excluded = std::make_unique<Bitmap>();
    for (const auto& [slot, versions] : input.store->conflicted()) excluded->set(slot);
    bound.excluded = excluded.get();
    bound.own_bitmaps.push_back(std::move(excluded));
    if (policy == Siblings::kSkip) return true;
    std::vector<Slot> slots;
    BoundInput resolved;
    resolved.own_store = resolve_siblings(*input.store, policy, slots);
    if (!resolved.own_store) return false;
    resolved.store = resolved.own_store.get();
    for (uint32_t i = 0; i < plan_.row_sets(); ++i) {
      auto bitmap = std::make_unique<Bitmap>();
      for (Slot slot = 0; slot < slots.size(); ++slot) {
        if (input.row_sets[i] != nullptr && input.row_sets[i]->test(slots[slot])) bitmap->set(slot);
      }
      resolved.row_sets.push_back(bitmap.get());
      resolved.own_bitmaps.push_back(std::move(bitmap));
    }
    scan_.inputs.push_back(std::move(resolved));
    return true;
  }

  void find_bounds() {
    scan_.bounds.resize(plan_.schema().columns.size() + 1);
    for (const uint32_t column : plan_.columns()) {
      ColumnBounds& bounds = scan_.bounds[column];
      bool any = false;
      for (const BoundScan::Unit& unit : scan_.units) {
        const Tile* tile = scan_.inputs[unit.input].store->tile(column, unit.tile);
        if (tile == nullptr) continue;
        bounds.min = std::min(bounds.min, tile->zone.min);
        bounds.max = std::max(bounds.max, tile->zone.max);
        if (tile->zone.low == kNoExponent) continue;
        bounds.low = any ? std::min(bounds.low, tile->zone.low) : tile->zone.low;
        bounds.high = any ? std::max(bounds.high, tile->zone.high) : tile->zone.high;
        any = true;
      }
    }
  }

  void find_not_ready() {
    scan_.not_ready.resize(plan_.schema().columns.size());
    for (uint32_t column = 0; column < scan_.not_ready.size(); ++column) {
      const std::string& name = plan_.schema().columns[column].name;
      for (const PartitionInput& input : given_) {
        if (input.store->state(column) == ColumnState::kWhole) continue;
        scan_.not_ready[column] = Error{
            ErrorCode::kColumnNotReady,
            "column '" + name + "' is still being filled, or was dropped for memory: ask again later", name};
      }
    }
  }

  std::optional<Error> not_ready(const Selection& selection) const {
    for (const uint32_t column : selection.group_by) {
      if (scan_.not_ready[column]) return scan_.not_ready[column];
    }
    for (const Condition& condition : selection.conditions) {
      if (scan_.not_ready[condition.column]) return scan_.not_ready[condition.column];
    }
    return std::nullopt;
  }

  BoundSelection bind_selection(const Selection& selection, uint64_t rows) {
    BoundSelection bound;
    bound.failed = not_ready(selection);
    if (bound.failed) return bound;
    bound.code_tables.resize(selection.conditions.size());
    for (size_t i = 0; i < selection.conditions.size(); ++i) {
      const Condition& condition = selection.conditions[i];
      if (condition.kind < Condition::Kind::kStrings || condition.kind > Condition::Kind::kStringRange)
        continue;
      for (const BoundInput& input : scan_.inputs) {
        const Dictionary& dictionary = input.store->dictionary(condition.column);
        auto& tables = bound.code_tables[i];
        const bool known = std::any_of(tables.begin(), tables.end(),
                                       [&](const CodeTable& t) { return t.dictionary == &dictionary; });
        if (!known) tables.push_back(code_table(condition, dictionary));
      }
    }
    bound.layout = layout(selection, rows);
    return bound;
  }

  GroupLayout layout(const Selection& selection, uint64_t rows) const {
    GroupLayout layout;
    layout.dense = true;
    uint64_t dense_max = std::min(kDenseGroupsMax, std::max<uint64_t>(4096, rows * 2));
    // More where there are rows for them, and a group has nothing but words.
    const bool words = std::all_of(selection.measures.begin(), selection.measures.end(), [&](uint32_t index) {
      const Measure& measure = plan_.measures()[index];
      return (measure.needs & ~(kNeedSum | kNeedMinMax)) == 0 && measure.edges.empty();
    });
    if (words) dense_max = std::max(dense_max, std::min(4 * kDenseGroupsMax, rows / 4));
    for (const uint32_t column : selection.group_by) {
      GroupColumn& at = layout.columns.emplace_back();
      at.column = column;
      at.type = plan_.schema().columns[column].type;
      if (at.type == ColumnType::kString) {
        bind_strings(scan_, at);
      } else if (at.type == ColumnType::kInt64) {
        const ColumnBounds& bounds = scan_.bounds[column];
        at.base = bounds.min;
        if (bounds.min > bounds.max) {
          at.dim = 1;
        } else if (bounds.max - bounds.min < kDenseGroupsMax) {
          at.dim = bounds.max - bounds.min + 2;
        }
      }
      layout.dense = layout.dense && at.dim > 0 && at.dim <= dense_max / layout.groups;
      if (layout.dense) layout.groups *= at.dim;
    }
    if (!layout.dense) layout.groups = 0;
    return layout;
  }

  const Plan& plan_;
  std::span<const PartitionInput> given_;
  BoundScan scan_;
};

}  // namespace

void bind_strings(const BoundScan& scan, GroupColumn& at) {
  bool shared = true;
  for (const BoundInput& input : scan.inputs) {
    const Dictionary* dictionary = &input.store->dictionary(at.column);
    if (at.dictionary == nullptr) at.dictionary = dictionary;
    shared = shared && at.dictionary == dictionary;
  }
  if (shared) {
    at.dim = at.dictionary == nullptr ? 1 : at.dictionary->end() + uint64_t{1};
    return;
  }
  at.dictionary = nullptr;
  std::unordered_map<std::string, uint32_t> codes;
  for (const BoundInput& input : scan.inputs) {
    const Dictionary& dictionary = input.store->dictionary(at.column);
    std::vector<uint32_t>& translation = at.translations.emplace_back(dictionary.end());
    for (uint32_t code = 0; code < dictionary.end(); ++code) {
      if (!dictionary.holds(code)) continue;
      const auto [place, added] =
          codes.try_emplace(dictionary.text(code), static_cast<uint32_t>(at.strings.size()));
      if (added) at.strings.push_back(dictionary.text(code));
      translation[code] = place->second;
    }
  }
  at.dim = at.strings.size() + 1;
}

Result<BoundScan> bind(const Plan& plan, std::span<const PartitionInput> inputs) {
  return Binder(plan, inputs).bind();
}

}  // namespace covey::agg
