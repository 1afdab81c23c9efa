#include "tests/sim/summary.h"

#include <cstdio>
#include <vector>

#include "replication/hash.h"
#include "tests/sim/failure.h"

namespace covey::sim {
namespace {

// Each must be seen at least once in a large set of seeds: else the simulator no longer goes where it should.
const std::vector<std::string>& must_happen() {
  static const std::vector<std::string> names = {
      "sometimes: a read repaired a replica",
      "sometimes: a write was forwarded",
      "sometimes: a forwarded write was given up with its connection",
      "sometimes: a write that had not left went to another owner",
      "sometimes: a whole transfer ended",
      "sometimes: a log was cut",
      "sometimes: a stand-in wrote",
      "sometimes: a stand-in handed over and dropped",
      "sometimes: a hole was closed",
      "sometimes: a message of an ended life was dropped",
      "sometimes: a malformed message was dropped",
      "sometimes: unavailable was answered",
      "sometimes: a time limit passed",
      "sometimes: an expired value was removed",
      "sometimes: a read returned siblings",
      "sometimes: a forged context was refused",
      "sometimes: the context of another key was refused",
      "answers: too_many_siblings",
      "answers: precondition_failed",
      "strict reads judged",
      stale_reads,
      "fault: disk rolled back, unnoticed",
      "fault: disk wiped",
      "fault: unsynced writes lost",
      "fault: disk full",
      "answers: disk_full",
      "fault: fsync fails",
      "sometimes: there was no room for a request or its answer",
      "sometimes: a store could not go on",
      "sometimes: a damaged disk was set aside",
      "sometimes: a part of the nodes converged alone while members come and go",
      "sometimes: a member was asked to ping another",
      "sometimes: a suspicion was refuted",
      "sometimes: a member was taken for dead"};
  return names;
}

}  // namespace

Summary::Summary(bool json, bool demand_coverage) : json_(json), demand_coverage_(demand_coverage) {}

void Summary::run(const std::string& name, const Outcome& outcome) {
  ++runs_;
  failed_ += outcome.failed;
  totals_.merge(outcome.totals);
  virtual_us_ += outcome.virtual_us;
  digest_ = hash_pair(digest_, outcome.digest);
  if (json_) return;
  std::printf("%s: %s, %.1f virtual seconds, %llu operations, %llu messages, digest %016llx\n", name.c_str(),
              outcome.failed ? "FAILED" : "ok", static_cast<double>(outcome.virtual_us) / 1e6,
              static_cast<unsigned long long>(outcome.totals.get("operations")),
              static_cast<unsigned long long>(outcome.totals.get("messages")),
              static_cast<unsigned long long>(outcome.digest));
}

bool Summary::end() {
  double real = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  bool covered = true;
  std::vector<std::string> never;
  for (const auto& name : must_happen()) {
    if (totals_.get(name) == 0) never.push_back(name);
  }
  if (json_) {
    print_json(real);
  } else {
    print_text(real);
    for (const auto& name : never) std::printf("never happened: %s\n", name.c_str());
  }
  if (demand_coverage_ && !never.empty()) {
    covered = false;
    if (!json_) std::printf("FAILED: what must sometimes happen never did\n");
  }
  std::printf("digest: %016llx\n", static_cast<unsigned long long>(digest_));
  return covered;
}

void Summary::print_text(double real_seconds) const {
  std::printf("\n");
  for (const auto& [name, count] : totals_.counts()) {
    std::printf("%12llu  %s\n", static_cast<unsigned long long>(count), name.c_str());
  }
  double virtual_seconds = static_cast<double>(virtual_us_) / 1e6;
  std::printf(
      "\n%llu runs, %llu failed, %.0f virtual seconds in %.1f real seconds: %.0f virtual seconds a second\n",
      static_cast<unsigned long long>(runs_), static_cast<unsigned long long>(failed_), virtual_seconds,
      real_seconds, virtual_seconds / real_seconds);
}

void Summary::print_json(double real_seconds) const {
  std::printf(
      "{\"runs\": %llu, \"failed\": %llu, \"virtual_seconds\": %.3f, \"real_seconds\": %.3f, \"counts\": {",
      static_cast<unsigned long long>(runs_), static_cast<unsigned long long>(failed_),
      static_cast<double>(virtual_us_) / 1e6, real_seconds);
  bool first = true;
  for (const auto& [name, count] : totals_.counts()) {
    std::printf("%s\"%s\": %llu", first ? "" : ", ", name.c_str(), static_cast<unsigned long long>(count));
    first = false;
  }
  std::printf("}}\n");
}

}  // namespace covey::sim
