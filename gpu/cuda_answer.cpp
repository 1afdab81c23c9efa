// From words and counts to states.
#include <algorithm>

#include "gpu/cpu_groups.h"
#include "gpu/cuda_scan.h"
#include "gpu/cuda_sums.h"

namespace covey::agg::cuda {

namespace {

// A selection's groups: place on the device and key, sorted by key.
using Groups = std::vector<std::pair<std::string, uint32_t>>;

class Reader {
 public:
  Reader(DeviceScan& scan, const Program& program) : scan_(scan), program_(program), bound_(program.scan()) {}

  Result<std::vector<SelectionState>> read() {
    const Plan& plan = *bound_.plan;
    std::vector<SelectionState> states(plan.selections().size());
    for (size_t i = 0; i < states.size(); ++i) states[i].failed = bound_.selections[i].failed;
    for (const auto& [number, groups] : program_.tables()) states[number].failed = groups.failed;
    if (Status checked = check_tables(scan_, program_); !checked) return checked.error();
    if (Status got = get_counts(); !got) return got.error();
    for (size_t i = 0; i < program_.selections.size(); ++i) {
      if (Status got = read_selection(i, states[program_.plan_selections[i]]); !got) return got.error();
    }
    return states;
  }

 private:
  Status get_counts() {
    bins_.resize(program_.bins.size());
    for (size_t i = 0; i < bins_.size(); ++i) {
      if (Status got = get(program_.bins_places[i], bins_[i]); !got) return got;
    }
    distincts_.resize(program_.distincts.size());
    for (size_t i = 0; i < distincts_.size(); ++i) {
      if (Status got = get(program_.distinct_places[i], distincts_[i]); !got) return got;
    }
    return Done{};
  }
  Status get(const ResultPlace& place, std::vector<uint64_t>& into) {
    return scan_.download(scan_.results() + place.at, place.bytes, into);
  }

  uint64_t word(size_t group, uint32_t index) const { return words_[(group * width_ + index) * 2]; }
  Int128 sum(size_t group, uint32_t index) const {
    const uint64_t* const at = &words_[(group * width_ + index) * 2];
    return (static_cast<Int128>(static_cast<int64_t>(at[1])) << 32) + static_cast<Int128>(at[0]);
  }
  uint64_t count(size_t group, uint32_t index) const { return static_cast<uint64_t>(sum(group, index)); }

  Status read_selection(size_t index, SelectionState& state) {
    const Selection& selection = program_.selections[index];
    const covey::agg::Selection& asked = bound_.plan->selections()[program_.plan_selections[index]];
    width_ = selection.width;
    if (Status got = get(program_.result_places[index], words_); !got) return got;
    Groups groups;
    each_group(program_, index, [&](uint32_t group, const auto& key) {
      if (asked.group_by.empty() || count(group, 0) > 0) groups.emplace_back(key(), group);
    });
    if (groups.size() > asked.limit_groups) {
      state.failed = too_many_groups(asked.limit_groups);
      return Done{};
    }
    std::sort(groups.begin(), groups.end());
    resize_states(*bound_.plan, program_.plan_selections[index], state, groups.size());
    for (size_t i = 0; i < groups.size(); ++i) {
      state.keys.push_back(groups[i].first);
      state.rows[i] = count(groups[i].second, 0);
    }
    uint32_t measure = selection.measures_begin;
    for (size_t i = 0; i < asked.measures.size(); ++i) {
      const uint32_t column = bound_.plan->measures()[asked.measures[i]].column;
      if (bound_.not_ready[column]) {
        state.measures[i] = {};
        state.measures[i].failed = bound_.not_ready[column];
      } else {
        read_measure(program_.measures[measure++], groups, state.rows, state.measures[i]);
      }
    }
    return Done{};
  }

  void read_measure(const Measure& from, const Groups& groups, const std::vector<uint64_t>& rows,
                    MeasureState& into) const {
    for (size_t i = 0; i < groups.size(); ++i) {
      const uint32_t group = groups[i].second;
      into.valid[i] = rows[i] - count(group, from.nulls);
      uint64_t finite = into.valid[i];
      if (from.is_float != 0) {
        into.nan[i] = count(group, from.special);
        into.positive_infinities[i] = count(group, from.special + 1);
        into.negative_infinities[i] = count(group, from.special + 2);
        finite -= into.nan[i] + into.positive_infinities[i] + into.negative_infinities[i];
      }
      read_sum(from.sum, group, i, into.sum);
      read_sum(from.squares, group, i, into.squares);
      if (from.least != kNothing) into.min[i] = ~word(group, from.least);
      if (from.most != kNothing) into.max[i] = word(group, from.most);
      if (from.first != kNothing && finite > 0)
        into.first[i] = {int_from_order(~word(group, from.first)), ~word(group, from.first + 1), true};
      if (from.last != kNothing && finite > 0)
        into.last[i] = {int_from_order(word(group, from.last)), word(group, from.last + 1), true};
      if (from.sketch != kNothing) read_sketch(from, group, into.sketches[i]);
      for (uint32_t h = from.histograms_begin; h < from.histograms_end; ++h)
        read_histogram(program_.histograms[h], group, i, into.histograms[h - from.histograms_begin]);
      if (from.distinct != kNothing) into.distinct[i] = read_distinct(from.distinct, group);
    }
    into.sum.trim();
    into.squares.trim();
  }

  void read_sum(const SumWords& from, uint32_t group, size_t place, WideSums& into) const {
    for (uint32_t i = 0; i < from.count; ++i) {
      int exponent = from.form == SumForm::kFolds ? from.folds.unit(static_cast<int>(i))
                                                  : from.base + 32 * static_cast<int>(i);
      into.add(place, sum(group, from.word + i), exponent);
    }
  }

  void read_sketch(const Measure& from, uint32_t group, SketchState& into) const {
    const Bins& bins = program_.bins[from.sketch];
    for (uint32_t bucket = 0; bucket < bins.width; ++bucket) {
      const uint64_t found = bins_[from.sketch][uint64_t{group} * bins.width + bucket];
      if (found > 0) into.push_back({from.first_bucket + bucket, found});
    }
  }

  void read_histogram(const Histogram& from, uint32_t group, size_t place,
                      std::vector<uint64_t>& into) const {
    const uint32_t width = program_.bins[from.bins].width;
    const uint64_t* const counts = bins_[from.bins].data() + uint64_t{group} * width;
    std::copy(counts, counts + width, into.begin() + static_cast<ptrdiff_t>(place * width));
  }

  DistinctState read_distinct(uint32_t index, uint32_t group) const {
    DistinctState state;
    const Distinct& distinct = program_.distincts[index];
    const uint64_t* const results = distincts_[index].data();
    if (distinct.words > 0) {
      const GroupColumn& strings = program_.distinct_strings[index];
      const auto* const seen = reinterpret_cast<const uint32_t*>(results) + group * distinct.words;
      for (uint32_t code = 0; code < distinct.words * 32; ++code) {
        if ((seen[code / 32] >> (code % 32) & 1u) == 0) continue;
        state.add(strings.dictionary != nullptr ? strings.dictionary->hash(code)
                                                : hash_text(strings.strings[code]));
      }
      return state;
    }
    const uint64_t groups = program_.distinct_groups(index);
    const uint64_t* const table = results + groups * kRegisters / 2 + uint64_t{group} * kDistinctSlots;
    const auto* const told =
        reinterpret_cast<const uint32_t*>(results + groups * (kRegisters / 2 + kDistinctSlots)) +
        group * size_t{4};
    if (told[2] == 0 && told[0] + told[1] <= kDistinctExactMax) {
      for (uint32_t i = 0; i < kDistinctSlots; ++i) {
        if (table[i] != 0) state.add(table[i]);
      }
      if (told[1] != 0) state.add(0);
      return state;
    }
    const auto* const ranks = reinterpret_cast<const uint32_t*>(results) + uint64_t{group} * kRegisters;
    state.set_registers(std::vector<uint8_t>(ranks, ranks + kRegisters));
    return state;
  }

  DeviceScan& scan_;
  const Program& program_;
  const BoundScan& bound_;
  std::vector<uint64_t> words_;
  uint32_t width_ = 0;
  std::vector<std::vector<uint64_t>> bins_, distincts_;
};

}  // namespace

void each_group(const Program& program, size_t index,
                const std::function<void(uint32_t, const std::function<std::string()>&)>& action) {
  const GroupLayout& layout = program.scan().selections[program.plan_selections[index]].layout;
  const HashedGroups* const hashed = program.hashed(index);
  for (uint32_t group = 0; group < program.selections[index].groups; ++group) {
    action(group, [&] {
      if (hashed != nullptr) return hashed->keys[group];
      std::string key;
      if (!layout.columns.empty()) append_dense_key(layout, group, key);
      return key;
    });
  }
}

Result<HashedTables> read_tables(DeviceScan& scan, const Program& program) {
  HashedTables tables;
  for (size_t i = 0; i < program.selections.size(); ++i) {
    const uint32_t number = program.plan_selections[i];
    const GroupLayout& layout = program.scan().selections[number].layout;
    HashedGroups& into = tables[number];
    into.selection = program.selections[i];
    const uint64_t places = into.selection.groups;
    std::vector<uint64_t> found;
    const ResultPlace& at = program.table_places[i];
    if (Status got = scan.download(scan.results() + at.at, at.bytes, found); !got) return got.error();
    const uint64_t limit = program.scan().plan->selections()[number].limit_groups;
    if (reinterpret_cast<const uint32_t*>(found.data() + places)[1] != 0) {
      if (into.selection.limit < limit)
        return Error{ErrorCode::kNotForDevice, "more than a million groups by numbers", ""};
      into.failed = too_many_groups(limit);
      continue;
    }
    const size_t width = layout.columns.size() + 1;
    into.numbers.resize(places);
    for (uint64_t place = 0; place < places; ++place) {
      if (found[place] == 0) continue;
      const uint64_t* const words = found.data() + places + 2 + place * width;
      std::string key;
      for (size_t c = 0; c + 1 < width; ++c)
        append_group_value(layout.columns[c], (words[width - 1] >> c & 1) != 0, words[c], key);
      into.numbers[place] = static_cast<uint32_t>(into.keys.size());
      into.keys.push_back(std::move(key));
    }
  }
  return tables;
}

Status check_tables(DeviceScan& scan, const Program& program) {
  for (size_t i = 0; i < program.selections.size(); ++i) {
    if (program.hashed(i) == nullptr) continue;
    std::vector<uint64_t> state;
    const auto* const at = reinterpret_cast<const std::byte*>(program.selections[i].table_state);
    if (Status got = scan.download(at, 16, state); !got) return got;
    if (reinterpret_cast<const uint32_t*>(state.data())[2] != 0)
      return Error{ErrorCode::kNotForDevice, "two groups have one hash", ""};
  }
  return Done{};
}

Result<std::vector<SelectionState>> read_states(DeviceScan& scan, const Program& program) {
  return Reader(scan, program).read();
}

}  // namespace covey::agg::cuda
