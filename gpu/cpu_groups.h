// From a row's group_by values to the number of its group, for one thread.
#pragma once

#include <string>
#include <vector>

#include "gpu/cpu_bind.h"

namespace covey::agg {

// The selected rows of a block: all of them, or those listed.
struct RowList {
  uint32_t rows = 0;                 // of the block
  uint32_t count = 0;                // selected
  const uint16_t* listed = nullptr;  // null: all rows
};

// Adds one column's value to a group's key: a string's code, or order-mapped bits.
void append_group_value(const GroupColumn& column, bool null, uint64_t word, std::string& key);
// The key of a group by its number, where groups are dense.
void append_dense_key(const GroupLayout& layout, uint64_t number, std::string& key);

template <class Action>
void for_rows(const RowList& rows, Action action) {
  if (rows.listed == nullptr) {
    for (uint32_t row = 0; row < rows.rows; ++row) action(row);
  } else {
    for (uint32_t i = 0; i < rows.count; ++i) action(rows.listed[i]);
  }
}

class GroupIndexer {
 public:
  explicit GroupIndexer(const GroupLayout& layout) : layout_(layout) {}

  // Fills numbers[row] for the selected rows of a block that starts at `first`. False: more than groups_max
  // groups.
  bool assign(const BoundScan& scan, const BoundScan::Unit& unit, uint32_t first, const RowList& rows,
              uint64_t groups_max, uint32_t* numbers);
  // One past the highest number given, or that can be.
  uint64_t size() const { return layout_.dense ? layout_.groups : groups_; }
  void append_key(uint32_t number, std::string& key) const;
  uint64_t bytes() const { return (table_.capacity() + words_.capacity()) * 8; }

 private:
  void assign_column(const GroupColumn& column, size_t place, const BoundScan& scan,
                     const BoundScan::Unit& unit, uint32_t first, const RowList& rows, uint32_t* numbers);
  void read_words(const GroupColumn& column, size_t place, const BoundScan& scan, const BoundScan::Unit& unit,
                  uint32_t first, const RowList& rows);
  uint32_t enter(const uint64_t* words, uint64_t hash);
  void grow(uint64_t places);

  struct Place {
    uint32_t number = 0;  // and 1; 0: free
    uint32_t tag = 0;     // of the hash, so that a wrong group is hardly ever looked at
  };
  const GroupLayout& layout_;
  // Not dense: open addressing over (column words..., bits of nulls).
  std::vector<Place> table_;
  size_t groups_ = 0;
  std::vector<uint64_t> words_;  // of each group
  std::vector<uint64_t> block_;  // of the block's selected rows
  std::vector<uint64_t> hashes_;
};

}  // namespace covey::agg
