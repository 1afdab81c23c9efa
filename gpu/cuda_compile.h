// A bound scan as a program for kernels: which words and counts each selection keeps, where they are, and the
// arrays that tests and groups look at.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gpu/cpu_bind.h"
#include "gpu/cuda_program.h"

namespace covey::agg::cuda {

struct ProgramLimits {
  uint32_t blocks = 1;
  uint32_t shared_bytes = 0;  // of a block
  uint64_t bytes_max = 0;     // of results and scratch
};

// Gathers what kernels read into one run of bytes that is copied to `base` as a whole. Addresses are known
// only once the size is: a program is written twice, first without a base.
class Parameters {
 public:
  explicit Parameters(const std::byte* base) : base_(base) {}
  template <class T>
  const T* put(const std::vector<T>& values) {
    return reinterpret_cast<const T*>(put(values.data(), values.size() * sizeof(T)));
  }
  const std::byte* put(const void* data, size_t bytes);
  const std::string& bytes() const { return bytes_; }

 private:
  const std::byte* base_;
  std::string bytes_;
};

// Offsets within the results are known before their address.
struct ResultPlace {
  uint64_t at = 0;
  uint64_t bytes = 0;
};

// The groups of a selection that are not dense, once the device has entered them.
struct HashedGroups {
  Selection selection;            // its table
  std::vector<uint32_t> numbers;  // of each place
  std::vector<std::string> keys;  // of each number
  std::optional<Error> failed;    // too many
};
using HashedTables = std::map<uint32_t, HashedGroups>;  // by selection of the plan

class Program {
 public:
  // Enters the groups of selections whose groups are not dense; none: there are no such selections.
  static Result<Program> make_groups(const BoundScan& scan, const ProgramLimits& limits);
  // The scan itself; `tables` has what make_groups() is for. kNotForDevice, with the reason.
  static Result<Program> make(const BoundScan& scan, const HashedTables& tables, const ProgramLimits& limits);
  // Of a further round of exact quantiles: tests and groups alone.
  static Result<Program> make_for_refinement(const BoundScan& scan, const HashedTables& tables,
                                             const ProgramLimits& limits);

  // Results start at zero and are downloaded, scratch starts at zero.
  uint64_t results_bytes() const { return results_bytes_; }
  uint64_t scratch_bytes() const { return scratch_bytes_; }
  // Writes everything that does not depend on units and fills the job's pointers but those of units.
  void write(Parameters& parameters, std::byte* results, std::byte* scratch, ScanJob& job);

  const BoundScan& scan() const { return *scan_; }
  const HashedTables& tables() const { return *tables_; }
  const HashedGroups* hashed(size_t selection) const;  // null: its groups are dense
  bool has_times() const { return times_; }
  bool has_global_words() const { return global_; }
  // Whether the kernel for one common shape takes it; units without excluded rows provided.
  bool is_one_shape() const;

  // By selection and measure as the kernels number them.
  std::vector<Selection> selections;
  std::vector<uint32_t> plan_selections;  // which of the plan's
  std::vector<Measure> measures;
  std::vector<uint32_t> plan_measures;
  std::vector<Bins> bins;
  std::vector<Histogram> histograms;
  std::vector<Distinct> distincts;
  std::vector<GroupColumn> distinct_strings;  // of each of distincts
  std::vector<ResultPlace> result_places;     // of each selection's words
  std::vector<ResultPlace> table_places;      // of make_groups(): table, then state, then words of groups
  std::vector<ResultPlace> bins_places;
  std::vector<ResultPlace> distinct_places;   // registers, then table, then state; strings: bits
  uint32_t column_of(uint32_t column) const;  // the place of a column of the schema within a unit's
  uint64_t distinct_groups(size_t index) const { return distinct_groups_[index]; }
  // Known once it is written; by input, null: no row is excluded.
  const uint32_t* excluded(uint32_t input) const { return excluded_[input]; }

 private:
  Program(const BoundScan& scan, const HashedTables& tables) : scan_(&scan), tables_(&tables) {}
  bool add_selection(uint32_t index);
  void add_table(uint32_t index);
  bool add_measure(uint32_t index, Selection& selection);
  void add_float_sums(Measure& into, uint32_t needs, uint32_t& width) const;
  void add_int_sums(Measure& into, uint32_t needs, uint32_t& width) const;
  bool add_bins(uint64_t groups, uint64_t width, uint32_t& index);
  bool add_distinct(const covey::agg::Measure& from, uint64_t groups, uint32_t& index);
  void place_words(const ProgramLimits& limits);
  uint64_t take_result(uint64_t bytes);
  void refuse(std::string reason);
  void write_tests(Parameters& parameters, ScanJob& job);
  void write_groups(Parameters& parameters, ScanJob& job);
  void write_inputs(Parameters& parameters, ScanJob& job);
  void write_measures(Parameters& parameters, std::byte* results, ScanJob& job);
  void write_selections(Parameters& parameters, std::byte* results, std::byte* scratch, ScanJob& job);
  const uint32_t* const* write_translations(Parameters& parameters, const GroupColumn& column);

  const BoundScan* scan_;
  const HashedTables* tables_;
  std::vector<std::vector<uint8_t>> greatest_;  // by selection, by word
  std::vector<uint32_t> histogram_measures_;    // of each histogram: the plan's measure
  std::vector<uint32_t> histogram_edges_;
  std::vector<uint64_t> distinct_groups_;
  std::vector<const uint32_t*> excluded_;
  std::vector<uint64_t> scratch_places_;  // of each selection; UINT64_MAX: none
  std::string refused_;
  uint64_t results_bytes_ = 0;
  uint64_t scratch_bytes_ = 0;
  uint32_t shared_bytes_ = 0;
  bool times_ = false;
  bool global_ = false;
};

}  // namespace covey::agg::cuda
