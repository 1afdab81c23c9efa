// Rows that the front end has read out of values while it checked them: on their way to the feed of the shard
// that stores the values, so that it need not read them again. Found by a hash of the value and the table's
// definition. Few are kept, and none for long: what is not found is read out of the value.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "gpu/value.h"

namespace covey::server {

struct ReadRow {
  uint64_t name = 0;               // of value and definition
  std::vector<agg::Value> values;  // one for each column; empty: nothing was read
};

// Of 64 bits, by a seed that nobody outside knows.
uint64_t row_name(std::string_view definition, std::string_view value);

// Used by one thread.
class ReadRows {
 public:
  static constexpr size_t rows_max = 1024;        // a new one takes the place of another
  static constexpr size_t text_bytes_max = 4096;  // in the columns of one row; one with more is not kept

  void put(ReadRow&& row);
  // False: it is not here. Else it is no longer.
  bool take(uint64_t name, std::vector<agg::Value>& values);

 private:
  std::array<ReadRow, rows_max> rows_;
};

}  // namespace covey::server
