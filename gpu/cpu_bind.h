// What a plan means for the stores that it is to scan: made once before a scan, read by all its threads.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "gpu/backend.h"
#include "gpu/fold.h"
#include "gpu/sketch.h"

namespace covey::agg {

// A store to scan, or one made for the time of the scan of the rows whose siblings another version stands
// for.
struct BoundInput {
  const ColumnStore* store = nullptr;
  std::vector<const Bitmap*> row_sets;
  const Bitmap* excluded = nullptr;  // conflicted rows that another input stands for
  std::unique_ptr<ColumnStore> own_store;
  std::vector<std::unique_ptr<Bitmap>> own_bitmaps;
};

// A condition on strings, for one dictionary: which codes fulfil it.
struct CodeTable {
  const Dictionary* dictionary = nullptr;
  std::vector<uint8_t> allowed;  // by code
  uint32_t count = 0;            // of codes allowed
  uint32_t only = 0;             // the code, if count is 1
};

// One group_by column. Dense: its values are small numbers from 1; 0 is null.
struct GroupColumn {
  uint32_t column = 0;
  ColumnType type = ColumnType::kInt64;
  uint64_t base = 0;  // dense integers: the least order-mapped value
  uint64_t dim = 0;   // one more than the greatest number; 0: not dense
  // Where stores do not share the column's dictionary: each input's codes as codes of `strings`.
  std::vector<std::vector<uint32_t>> translations;
  std::vector<std::string> strings;
  const Dictionary* dictionary = nullptr;  // shared by all
};

struct GroupLayout {
  std::vector<GroupColumn> columns;
  bool dense = false;
  uint64_t groups = 1;  // dense: so many numbers
};

// What zone maps tell of a measure's column over all inputs.
struct ColumnBounds {
  uint64_t min = UINT64_MAX;
  uint64_t max = 0;
  int low = 0;
  int high = 1;
};

struct BoundSelection {
  std::optional<Error> failed;  // a column to filter or group by that is not ready
  GroupLayout layout;
  std::vector<std::vector<CodeTable>> code_tables;  // for each condition on strings; one for each dictionary
};

struct BoundScan {
  const Plan* plan = nullptr;
  std::vector<BoundInput> inputs;
  std::vector<BoundSelection> selections;
  std::vector<std::optional<Error>> not_ready;  // by column of the schema
  std::vector<ColumnBounds> bounds;             // by column of the schema, and the hidden time
  struct Unit {
    uint32_t input;
    uint32_t tile;
  };
  std::vector<Unit> units;  // row groups with live rows
};

// kMismatch: a store of another schema, or row sets are missing.
Result<BoundScan> bind(const Plan& plan, std::span<const PartitionInput> inputs);

// Numbers a column's strings over all inputs: the dictionary, if they share it, else translations and
// `strings`.
void bind_strings(const BoundScan& scan, GroupColumn& at);

// A store of the rows of `store` that have siblings, each as the policy resolves it. `slots` gets their slots
// in order.
std::unique_ptr<ColumnStore> resolve_siblings(const ColumnStore& store, Siblings policy,
                                              std::vector<Slot>& slots);

}  // namespace covey::agg
