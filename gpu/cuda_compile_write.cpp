// The arrays of a program: addresses are filled in here.
#include <algorithm>

#include "gpu/cuda_compile.h"

namespace covey::agg::cuda {

namespace {

template <class T>
T* at_offset(std::byte* base, uint64_t offset) {
  return reinterpret_cast<T*>(base + offset);
}

// A bitmap's words for all slots that a store's row groups have.
std::vector<uint64_t> words_of(const Bitmap& bitmap, const ColumnStore& store) {
  std::vector<uint64_t> words(uint64_t{store.tiles()} * store.tile_rows() / 64);
  for (size_t i = 0; i < std::min(words.size(), bitmap.words()); ++i) words[i] = bitmap.word(i);
  return words;
}

}  // namespace

void Program::write(Parameters& parameters, std::byte* results, std::byte* scratch, ScanJob& job) {
  write_tests(parameters, job);
  write_groups(parameters, job);
  write_inputs(parameters, job);
  write_measures(parameters, results, job);
  write_selections(parameters, results, scratch, job);
  job.columns_count = static_cast<uint32_t>(scan_->plan->columns().size());
  job.time_column = column_of(static_cast<uint32_t>(scan_->plan->schema().columns.size()));
  job.shared_bytes = shared_bytes_;
}

void Program::write_tests(Parameters& parameters, ScanJob& job) {
  const Plan& plan = *scan_->plan;
  std::vector<Test> tests;
  for (uint32_t i = 0; i < selections.size(); ++i) {
    const auto& conditions = plan.selections()[plan_selections[i]].conditions;
    selections[i].tests_begin = static_cast<uint32_t>(tests.size());
    for (size_t c = 0; c < conditions.size(); ++c) {
      const Condition& condition = conditions[c];
      Test& test = tests.emplace_back();
      test.column = column_of(condition.column);
      test.kind = static_cast<uint32_t>(condition.kind);
      test.flip =
          plan.schema().columns[condition.column].type == ColumnType::kFloat64 ? kFlipFloat : kFlipInt;
      test.lo = condition.lo;
      test.hi = condition.hi;
      test.keys = parameters.put(condition.keys);
      test.keys_count = static_cast<uint32_t>(condition.keys.size());
      const auto& tables = scan_->selections[plan_selections[i]].code_tables[c];
      if (tables.empty()) continue;
      std::vector<const uint8_t*> allowed;
      for (const CodeTable& table : tables) allowed.push_back(parameters.put(table.allowed));
      std::vector<const uint8_t*> by_inputs;
      for (const BoundInput& input : scan_->inputs) {
        const Dictionary* dictionary = &input.store->dictionary(condition.column);
        const auto table = std::find_if(tables.begin(), tables.end(),
                                        [&](const CodeTable& at) { return at.dictionary == dictionary; });
        by_inputs.push_back(allowed[static_cast<size_t>(table - tables.begin())]);
      }
      test.allowed = parameters.put(by_inputs);
    }
    selections[i].tests_end = static_cast<uint32_t>(tests.size());
  }
  job.tests = parameters.put(tests);
}

const uint32_t* const* Program::write_translations(Parameters& parameters, const GroupColumn& column) {
  if (column.translations.empty()) return nullptr;
  std::vector<const uint32_t*> by_inputs;
  for (const auto& translation : column.translations) by_inputs.push_back(parameters.put(translation));
  return parameters.put(by_inputs);
}

void Program::write_groups(Parameters& parameters, ScanJob& job) {
  std::vector<GroupBy> group_bys;
  for (uint32_t i = 0; i < selections.size(); ++i) {
    selections[i].groups_begin = static_cast<uint32_t>(group_bys.size());
    for (const GroupColumn& column : scan_->selections[plan_selections[i]].layout.columns) {
      GroupBy& by = group_bys.emplace_back();
      by.column = column_of(column.column);
      by.is_string = column.type == ColumnType::kString ? 1 : 0;
      by.flip = column.type == ColumnType::kFloat64 ? kFlipFloat : kFlipInt;
      by.base = column.base;
      by.dim = column.dim;
      by.translations = write_translations(parameters, column);
    }
    selections[i].groups_end = static_cast<uint32_t>(group_bys.size());
  }
  job.group_bys = parameters.put(group_bys);
}

void Program::write_inputs(Parameters& parameters, ScanJob& job) {
  const uint32_t sets = scan_->plan->row_sets();
  std::vector<uint8_t> wanted(sets);
  for (const Selection& selection : selections) {
    if (selection.row_set != kNothing) wanted[selection.row_set] = 1;
  }
  std::vector<const uint32_t*> row_sets;
  for (const BoundInput& input : scan_->inputs) {
    for (uint32_t i = 0; i < sets; ++i) {
      const Bitmap* set = wanted[i] != 0 ? input.row_sets[i] : nullptr;
      row_sets.push_back(
          set == nullptr ? nullptr
                         : reinterpret_cast<const uint32_t*>(parameters.put(words_of(*set, *input.store))));
    }
  }
  job.row_sets = parameters.put(row_sets);
  job.row_sets_count = sets;
  excluded_.clear();
  for (const BoundInput& input : scan_->inputs) {
    excluded_.push_back(input.excluded == nullptr ? nullptr
                                                  : reinterpret_cast<const uint32_t*>(parameters.put(
                                                        words_of(*input.excluded, *input.store))));
  }
}

void Program::write_measures(Parameters& parameters, std::byte* results, ScanJob& job) {
  for (size_t i = 0; i < bins.size(); ++i) bins[i].counts = at_offset<uint64_t>(results, bins_places[i].at);
  job.bins = parameters.put(bins);
  job.bins_count = static_cast<uint32_t>(bins.size());
  for (size_t i = 0; i < histograms.size(); ++i) {
    const auto& edges = scan_->plan->measures()[histogram_measures_[i]].edges;
    histograms[i].edges = parameters.put(edges[histogram_edges_[i]]);
  }
  job.histograms = parameters.put(histograms);
  for (size_t i = 0; i < distincts.size(); ++i) {
    Distinct& distinct = distincts[i];
    const uint64_t at = distinct_places[i].at;
    if (distinct.words > 0) {
      distinct.seen = at_offset<uint32_t>(results, at);
      distinct.translations = write_translations(parameters, distinct_strings[i]);
      continue;
    }
    const uint64_t groups = distinct_groups(i);
    distinct.registers = at_offset<uint32_t>(results, at);
    distinct.table = at_offset<uint64_t>(results, at + groups * kRegisters * 4);
    distinct.state =
        at_offset<uint32_t>(results, at + groups * (kRegisters * 4 + uint64_t{kDistinctSlots} * 8));
  }
  job.distincts = parameters.put(distincts);
  job.measures = parameters.put(measures);
}

void Program::write_selections(Parameters& parameters, std::byte* results, std::byte* scratch, ScanJob& job) {
  for (size_t i = 0; i < selections.size(); ++i) {
    Selection& selection = selections[i];
    selection.result = at_offset<uint64_t>(results, result_places[i].at);
    selection.greatest = parameters.put(greatest_[i]);
    if (scratch_places_[i] != UINT64_MAX) selection.words = at_offset<uint64_t>(scratch, scratch_places_[i]);
    if (const HashedGroups* groups = hashed(i)) selection.numbers = parameters.put(groups->numbers);
    if (table_places[i].bytes == 0) continue;
    const uint64_t at = table_places[i].at;
    selection.table = at_offset<uint64_t>(results, at);
    selection.table_state = at_offset<uint32_t>(results, at + selection.groups * 8);
    selection.group_words = at_offset<uint64_t>(results, at + selection.groups * 8 + 16);
  }
  job.selections = parameters.put(selections);
  job.selections_count = static_cast<uint32_t>(selections.size());
}

}  // namespace covey::agg::cuda
