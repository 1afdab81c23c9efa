// Plans of one table that wait at the same time, as one: a pass for all of them reads each column once. Each
// gets the partials that a pass of its own would have left, to the bit.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "gpu/partials.h"
#include "gpu/plan.h"

namespace covey::agg {

class JoinedPlan {
 public:
  // One of those joined. The plan must outlive this.
  struct Member {
    const Plan* plan = nullptr;
    std::vector<uint32_t> row_sets;  // by its row set: which one it is among those of all
  };
  // REQUIRES members of one schema and one siblings policy. kBadQuery: together they pass the limits of a
  // batch.
  static Result<JoinedPlan> make(std::vector<Member> members);

  const Plan& plan() const { return plan_; }
  size_t members() const { return members_.size(); }

  // What a pass of this plan found for one member. None: what the others want made it fail (the memory of
  // groups' states), and only a pass of its own can tell.
  std::optional<Partials> part(size_t member, const Partials& joined) const;

 private:
  // Where a selection of a member is in the joined plan, and each of its measures among that one's.
  struct Place {
    uint32_t selection = 0;
    std::vector<uint32_t> measures;
    bool shared = false;  // another member has it too
  };
  void find_places();

  std::vector<Member> members_;
  Plan plan_;
  std::vector<std::vector<Place>> places_;  // by member and its selection
};

}  // namespace covey::agg
