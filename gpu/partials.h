// What a scan of some rows leaves of each group, so that partials of disjoint rows merge to the partial of
// all of them: associative, commutative, exact. encode() is canonical: partials of equal multisets of rows
// are equal bytes, however the rows were split, ordered and scanned; that is what `verify: quorum` compares.
//
// Thread-safety: none; values. The coordinator's way:
//
//   Partials all(plan);
//   for each node: decode its bytes, all.merge(...)
//   while (auto ask = all.refinement(plan)) {       // only with exact quantiles
//     Refined found(*ask);
//     for each node: Backend::refine(plan, *ask, ...) there, found.merge(...)
//     all.absorb(*ask, found);
//   }
//   for each query: all.finish(plan, i)
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/answer.h"
#include "gpu/plan.h"
#include "gpu/result.h"
#include "gpu/states.h"

namespace covey::agg {

// One value that an exact quantile needs: the rank-th (from 0) of `count` values that lie in [lo, hi].
struct QuantileTarget {
  uint32_t measure = 0;
  std::string group;  // encoded key
  uint64_t lo = 0;    // of order-mapped bits, both included
  uint64_t hi = 0;
  uint64_t count = 0;  // how many values lie there, when last seen
  bool collect =
      false;  // few enough to be sent: else they are counted by kRefineBins equal parts of the range
  bool operator==(const QuantileTarget&) const = default;
};

inline constexpr uint32_t kRefineBins = 1024;
inline constexpr uint64_t kCollectMax = 16384;   // values of one target that travel
inline constexpr size_t kTargetsMax = 1u << 20;  // of one round
// Of those, not collected: each takes kRefineBins counts on whoever answers.
inline constexpr size_t kCountedTargetsMax = 1u << 16;
// The part of the target's range that a key lies in, from 0. REQUIRES lo <= key <= hi
uint64_t target_bin(const QuantileTarget& target, uint64_t key);
// A bin is that power of two wide.
int target_shift(const QuantileTarget& target);

// What another pass shall look at. Goes to the nodes encoded.
struct Refinement {
  uint64_t fingerprint = 0;  // the plan's
  uint32_t round = 0;
  std::vector<QuantileTarget> targets;  // sorted by measure, group, lo; no two equal
  std::string encode() const;
  // kCorrupt, kNewerFormat; kMismatch: of another plan.
  static Result<Refinement> decode(const Plan& plan, std::string_view bytes);
};

// What a pass found for each target: bins, or the values themselves.
struct Refined {
  uint64_t fingerprint = 0;
  uint32_t round = 0;
  std::vector<std::vector<uint64_t>> found;  // kRefineBins counts, or sorted order-mapped values
  Refined() = default;
  explicit Refined(const Refinement& ask);
  Status merge(const Refinement& ask, Refined&& other);  // kMismatch
  std::string encode() const;
  static Result<Refined> decode(const Refinement& ask, std::string_view bytes);
};

// The answer of one query: its groups by key (null, then numbers, NaN, strings bytewise). Without group_by
// there is one, with an empty key, also when no row fulfils the where. Each is made when it is read, so that
// a million of them need no memory. The partials and the plan must outlive this, unchanged.
class QueryAnswer {
 public:
  size_t groups() const { return state_->keys.size(); }
  // REQUIRES group < groups(). What `into` held before is overwritten, its memory used again.
  void read(size_t group, GroupAnswer& into) const;

 private:
  friend class Partials;
  struct Source {
    const Measure* measure = nullptr;  // null: the rows themselves
    const MeasureState* state = nullptr;
    uint32_t index = 0;  // of the measure in the plan
  };
  void aggregate(size_t group, size_t index, AggregateAnswer& into) const;
  const SelectionState* state_ = nullptr;
  const QuantileProgress* progress_ = nullptr;
  const CompiledQuery* query_ = nullptr;
  std::vector<ColumnType> key_types_;
  std::vector<Source> aggregates_;  // as the query's
  std::vector<Source> notes_;
};

class Partials {
 public:
  Partials() = default;
  explicit Partials(const Plan& plan);

  // Adds rows that this has not seen. kMismatch: of another plan. What fails in one selection (too many
  // groups, too large, a column not ready) is kept as that selection's failure and told by finish() to its
  // queries alone.
  Status merge(const Plan& plan, Partials&& other);

  std::string encode() const;
  // Checked in full against the plan; kCorrupt, kNewerFormat, kMismatch.
  static Result<Partials> decode(const Plan& plan, std::string_view bytes);

  // None: no exact quantile is asked for or all are known. Ask again after absorb().
  std::optional<Refinement> refinement(const Plan& plan);
  // Rows that changed between the rounds make the answers `approximate`, never an error.
  Status absorb(const Plan& plan, const Refinement& ask, const Refined& found);

  // The answer of plan.queries()[query]; its selection's failure, if it has one. REQUIRES that refinement()
  // has answered none.
  Result<QueryAnswer> finish(const Plan& plan, size_t query) const;

  uint64_t groups(size_t selection) const { return selections_[selection].keys.size(); }
  uint64_t bytes() const;  // of memory

  // For back ends.
  std::vector<SelectionState>& selections() { return selections_; }
  const std::vector<SelectionState>& selections() const { return selections_; }

 private:
  friend class QuantileRounds;
  uint64_t fingerprint_ = 0;
  std::vector<SelectionState> selections_;
  QuantileProgress progress_;  // the coordinator's; not encoded
};

}  // namespace covey::agg
