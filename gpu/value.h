// What a column may hold, and the description of a table's columns.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace covey::agg {

// Persisted and sent: never used again for something else.
enum class ColumnType : uint8_t { kInt64 = 1, kFloat64 = 2, kString = 3 };

// A cell or a constant; std::monostate is null. Strings are bytes, at most kStringBytesMax.
using Value = std::variant<std::monostate, int64_t, double, std::string>;
inline constexpr size_t kStringBytesMax = 1024;

inline bool is_null(const Value& value) { return value.index() == 0; }

struct ColumnSpec {
  std::string name;
  ColumnType type = ColumnType::kFloat64;
  bool operator==(const ColumnSpec&) const = default;
};

inline constexpr size_t kColumnsMax = 64;

// The declared columns of a table. Every store has besides them a hidden int64 column, the time of each row's
// latest version (its HLC, as a signed number), which `first` and `last` go by; its index is columns.size().
struct Schema {
  std::vector<ColumnSpec> columns;
  // -1: no such column.
  int find(const std::string& name) const {
    for (size_t i = 0; i < columns.size(); ++i) {
      if (columns[i].name == name) return static_cast<int>(i);
    }
    return -1;
  }
  bool operator==(const Schema&) const = default;
};

}  // namespace covey::agg
