#include "tests/swim/plot.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

namespace covey::swim {
namespace {

constexpr double width = 460, height = 300, left = 60, right = 20, top = 40, bottom = 90;

// A round number at or above: 1, 2 or 5 times a power of ten.
double ceiling_of(double value) {
  const double power = std::pow(10, std::floor(std::log10(std::max(value, 1e-9))));
  for (double factor : {1.0, 2.0, 5.0, 10.0}) {
    if (factor * power >= value) return factor * power;
  }
  return value;
}

std::string short_number(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

void draw(std::ostream& out, const Chart& chart, double offset) {
  double smallest = 1e9, largest = 0, most = 0;
  for (const Line& line : chart.lines) {
    for (const auto& [x, y] : line.points) {
      smallest = std::min(smallest, x);
      largest = std::max(largest, x);
      most = std::max(most, y);
    }
  }
  most = ceiling_of(most);
  const double plot_width = width - left - right, plot_height = height - top - bottom;
  const double span = std::max(std::log(largest / smallest), 1e-9);
  auto at_x = [&](double x) { return offset + left + plot_width * std::log(x / smallest) / span; };
  auto at_y = [&](double y) { return top + plot_height * (1 - y / most); };
  out << "<text x='" << offset + left << "' y='22' font-weight='bold'>" << chart.title << "</text>\n";
  for (int i = 0; i <= 4; ++i) {
    const double y = most * i / 4;
    out << "<line x1='" << offset + left << "' x2='" << offset + width - right << "' y1='" << at_y(y)
        << "' y2='" << at_y(y) << "' stroke='#ddd'/><text x='" << offset + left - 6 << "' y='" << at_y(y) + 4
        << "' text-anchor='end'>" << short_number(y) << "</text>\n";
  }
  for (const auto& [x, y] : chart.lines.front().points) {
    out << "<text x='" << at_x(x) << "' y='" << height - bottom + 18 << "' text-anchor='middle'>"
        << short_number(x) << "</text>\n";
  }
  out << "<text x='" << offset + left + plot_width / 2 << "' y='" << height - bottom + 34
      << "' text-anchor='middle'>nodes</text>\n";
  double legend_x = offset + left, legend_y = height - 34;
  for (const Line& line : chart.lines) {
    const std::string dash = line.dashed ? " stroke-dasharray='5 4'" : "";
    out << "<polyline fill='none' stroke='" << line.colour << "' stroke-width='2'" << dash << " points='";
    for (const auto& [x, y] : line.points) out << at_x(x) << ',' << at_y(y) << ' ';
    out << "'/>\n<line x1='" << legend_x << "' x2='" << legend_x + 18 << "' y1='" << legend_y - 4 << "' y2='"
        << legend_y - 4 << "' stroke='" << line.colour << "' stroke-width='2'" << dash << "/><text x='"
        << legend_x + 22 << "' y='" << legend_y << "'>" << line.label << "</text>\n";
    legend_x += 130;
    if (legend_x > offset + width - 110) legend_x = offset + left, legend_y += 18;
  }
}

}  // namespace

bool write_svg(const std::string& path, const std::vector<Chart>& charts) {
  std::ofstream out(path);
  const double whole = width * static_cast<double>(charts.size());
  out << "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 " << whole << ' ' << height
      << "' font-family='sans-serif' font-size='12'><rect width='" << whole << "' height='" << height
      << "' fill='white'/>\n";
  for (size_t i = 0; i < charts.size(); ++i) draw(out, charts[i], width * static_cast<double>(i));
  out << "</svg>\n";
  return out.good();
}

}  // namespace covey::swim
