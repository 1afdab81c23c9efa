#include "server/read_rows.h"

#include <utility>

#include "replication/hash.h"
#include "server/random_bits.h"

namespace covey::server {

uint64_t row_name(std::string_view definition, std::string_view value) {
  static const uint64_t seed = random_bits();
  return hash_bytes(value, hash_bytes(definition, seed));
}

void ReadRows::put(ReadRow&& row) {
  size_t text_bytes = 0;
  for (const agg::Value& value : row.values) {
    if (const auto* text = std::get_if<std::string>(&value)) text_bytes += text->size();
  }
  if (row.values.empty() || text_bytes > text_bytes_max) return;
  rows_[row.name % rows_max] = std::move(row);
}

bool ReadRows::take(uint64_t name, std::vector<agg::Value>& values) {
  ReadRow& row = rows_[name % rows_max];
  if (row.values.empty() || row.name != name) return false;
  values = std::exchange(row.values, {});
  return true;
}

}  // namespace covey::server
