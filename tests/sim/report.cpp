// A page that stands by itself: what happened, when, at which node.
#include <fstream>

#include "tests/sim/failure.h"
#include "tests/sim/summary.h"

namespace covey::sim {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace

void write_report(const std::string& path, const std::string& name, const Outcome& outcome) {
  std::ofstream out(path);
  if (!out) throw ScenarioError("can't write " + path);
  out << "<!doctype html><meta charset=utf-8><title>covey-sim: " << escaped(name) << "</title><style>"
      << "body{font:14px sans-serif;margin:2em}td{padding:1px 1em 1px 0;vertical-align:top}"
      << ".fault{background:#fde8e0}.answer{color:#444}.t{font-family:monospace;text-align:right}</style>"
      << "<h1>" << escaped(name) << "</h1><p>"
      << (outcome.failed ? "Failed: " + escaped(outcome.what) : "Every invariant held.") << "<p>"
      << static_cast<double>(outcome.virtual_us) / 1e6 << " virtual seconds.<h2>Timeline</h2><table>";
  for (const auto& line : outcome.trace) {
    bool answer = line.find(" answers ") != std::string::npos;
    out << "<tr class=" << (answer ? "answer" : "fault") << "><td class=t>" << escaped(line.substr(0, 10))
        << "<td>" << escaped(line.substr(std::min<size_t>(12, line.size())));
  }
  out << "</table><h2>Counts</h2><table>";
  for (const auto& [count_name, count] : outcome.totals.counts())
    out << "<tr><td class=t>" << count << "<td>" << escaped(count_name);
  out << "</table>\n";
}

}  // namespace covey::sim
