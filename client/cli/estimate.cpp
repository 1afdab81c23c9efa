#include "client/cli/estimate.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <string_view>

#include "client/cli/session.h"

namespace covey::cli {
namespace {

constexpr double window_s = 5;   // over which the rate is taken
constexpr double least_s = 0.5;  // and less than this tells nothing

struct Run {
  uint64_t first = 0, last = 0;
};

uint64_t number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// 42 are the counters from 1 to 42, "1-42,44" those named.
std::vector<Run> runs_of(const Json& counters) {
  if (counters.is_number()) return {{1, counters.get<uint64_t>()}};
  std::vector<Run> runs;
  std::string_view text = counters.get_ref<const std::string&>();
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const size_t dash = one.find('-');
    runs.push_back(
        {number(one.substr(0, dash)), number(dash == std::string_view::npos ? one : one.substr(dash + 1))});
  }
  return runs;
}

uint64_t size_of(const std::vector<Run>& runs) {
  uint64_t size = 0;
  for (const Run& run : runs) size += run.last < run.first ? 0 : run.last - run.first + 1;
  return size;
}

std::vector<Run> united(std::vector<Run> runs) {
  std::sort(runs.begin(), runs.end(), [](const Run& a, const Run& b) { return a.first < b.first; });
  std::vector<Run> out;
  for (const Run& run : runs) {
    if (run.last < run.first) continue;
    if (!out.empty() && run.first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, run.last);
    } else {
      out.push_back(run);
    }
  }
  return out;
}

}  // namespace

uint64_t updates_lacking(const std::vector<CopyTold>& copies) {
  std::map<std::string, std::vector<Run>> all;  // by actor
  std::vector<uint64_t> own;
  for (const CopyTold& copy : copies) {
    own.push_back(0);
    for (const auto& [actor, counters] : copy.clock.items()) {
      const std::vector<Run> runs = runs_of(counters);
      own.back() += size_of(runs);
      all[actor].insert(all[actor].end(), runs.begin(), runs.end());
    }
  }
  uint64_t known = 0;
  for (const auto& [actor, runs] : all) known += size_of(united(runs));
  uint64_t lacking = 0;
  for (size_t i = 0; i < copies.size(); ++i) {
    const double left = 1 - std::clamp(copies[i].came, 0.0, 1.0);
    lacking += static_cast<uint64_t>(std::ceil(static_cast<double>(known - own[i]) * left));
  }
  return lacking;
}

void ConvergenceEstimate::add(double seconds, std::optional<uint64_t> lacking, double bytes_of_one) {
  known_ = lacking.has_value();
  if (!known_) return samples_.clear();
  bytes_of_one_ = bytes_of_one;
  samples_.push_back({seconds, *lacking});
  while (samples_.front().seconds < seconds - window_s) samples_.pop_front();
}

std::optional<double> ConvergenceEstimate::seconds_left() const {
  if (!known_) return std::nullopt;
  const Sample& first = samples_.front();
  const Sample& last = samples_.back();
  if (last.lacking == 0) return 0;
  const double passed = last.seconds - first.seconds;
  if (passed < least_s || last.lacking >= first.lacking) return std::nullopt;
  return static_cast<double>(last.lacking) * passed / static_cast<double>(first.lacking - last.lacking);
}

std::string ConvergenceEstimate::text() const {
  if (!known_) return "how much is outstanding is not known, as not all replicas can be asked";
  const uint64_t lacking = samples_.back().lacking;
  if (lacking == 0) return "no update is outstanding";
  std::string text = std::to_string(lacking) + " updates (about " +
                     bytes_text(static_cast<double>(lacking) * bytes_of_one_) + ") are outstanding";
  if (const auto left = seconds_left())
    return text + ", which takes about " + duration_text(static_cast<int64_t>(*left * 1000)) +
           " at the present rate";
  const bool is_early = samples_.back().seconds - samples_.front().seconds < least_s;
  return text + (is_early
                     ? "; how long that takes is not known yet"
                     : "; how long that takes is not known, as they do not become fewer: clients may write "
                       "as fast, or a node may be away");
}

}  // namespace covey::cli
