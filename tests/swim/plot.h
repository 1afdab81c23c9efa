// Line charts over the size of the group, as one SVG picture.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace covey::swim {

struct Line {
  std::string label;
  std::string colour;
  bool dashed = false;
  std::vector<std::pair<double, double>> points;  // size of the group, value
};

struct Chart {
  std::string title;  // with the unit
  std::vector<Line> lines;
};

// false: the file can't be written.
bool write_svg(const std::string& path, const std::vector<Chart>& charts);

}  // namespace covey::swim
