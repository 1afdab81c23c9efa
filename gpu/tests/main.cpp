// covey-gpu-tests [PART OF A NAME]: runs the cases whose name has that part, all without it.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

#include "gpu/tests/check.h"

namespace covey::agg::test {

namespace {

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
uint64_t checked = 0;
uint64_t failed = 0;
std::string skipped;

}  // namespace

void add_case(Case added) { cases().push_back(added); }

void count_check(bool ok, const char* file, int line, const std::string& what) {
  ++checked;
  if (ok) return;
  // Enough to see what is wrong.
  if (++failed <= 20) std::printf("%s:%d: failed: %s\n", file, line, what.c_str());
}

std::string around_difference(const char* text, std::string a, std::string b) {
  size_t at = 0;
  while (at < a.size() && at < b.size() && a[at] == b[at]) ++at;
  const size_t from = at > 150 ? at - 150 : 0;
  return std::string(text) + "\n" + a.substr(0, 30) + " ... " + a.substr(from, 250) + "\nand ... " +
         b.substr(from, 250);
}

void skip(const std::string& reason) { skipped = reason; }

}  // namespace covey::agg::test

int main(int argc, char** argv) {
  using namespace covey::agg::test;
  uint64_t total = 0;
  uint64_t bad = 0;
  uint64_t left_out = 0;
  for (const Case& one : cases()) {
    if (argc > 1 && std::strstr(one.name, argv[1]) == nullptr) continue;
    checked = failed = 0;
    skipped.clear();
    const auto begin = std::chrono::steady_clock::now();
    one.run();
    const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
    if (!skipped.empty()) {
      std::printf("skipped  %s: %s\n", one.name, skipped.c_str());
      ++left_out;
      continue;
    }
    std::printf("%s %s (%llu checks, %.0f ms)\n", failed == 0 ? "ok      " : "FAILED  ", one.name,
                static_cast<unsigned long long>(checked), spent.count());
    std::fflush(stdout);
    total += checked;
    bad += failed;
  }
  std::printf("%llu checks, %llu failed\n", static_cast<unsigned long long>(total),
              static_cast<unsigned long long>(bad));
  return bad == 0 && (total > 0 || left_out > 0) ? 0 : 1;
}
