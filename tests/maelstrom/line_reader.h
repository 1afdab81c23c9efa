// Bytes into lines of bounded length.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace covey::maelstrom {

class LineReader {
 public:
  explicit LineReader(size_t bytes_max) : bytes_max_(bytes_max) {}

  struct Line {
    std::string text;
    bool too_long = false;  // then without text: it was skipped up to its end
  };
  // The lines that end in these bytes, without their ends. Holds at most bytes_max of an unfinished one.
  std::vector<Line> feed(std::string_view bytes) {
    std::vector<Line> lines;
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      const std::string_view part = bytes.substr(0, end);
      if (!skipping_ && held_.size() + part.size() > bytes_max_) {
        skipping_ = true;
        held_ = {};
      }
      if (!skipping_) held_ += part;
      if (end == std::string_view::npos) break;
      bytes.remove_prefix(end + 1);
      lines.push_back({std::move(held_), skipping_});
      held_ = {};
      skipping_ = false;
    }
    return lines;
  }

 private:
  size_t bytes_max_;
  std::string held_;
  bool skipping_ = false;
};

}  // namespace covey::maelstrom
