#include "server/process_figures.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

// Of jemalloc, where the program is linked with it.
extern "C" __attribute__((weak)) int mallctl(const char* name, void* old_value, size_t* old_bytes,
                                             void* new_value, size_t new_bytes);

namespace covey::server {
namespace {

template <class Number>
Number told(const char* name) {
  Number value{};
  size_t bytes = sizeof value;
  return mallctl(name, &value, &bytes, nullptr, 0) == 0 ? value : Number{};
}

std::optional<MemoryFigures::Allocator> allocator_figures() {
  if (mallctl == nullptr) return std::nullopt;
  uint64_t epoch = 1;  // the figures are as of the last time that this was set
  size_t bytes = sizeof epoch;
  const char* version = told<const char*>("version");
  if (version == nullptr || mallctl("epoch", &epoch, &bytes, &epoch, bytes) != 0) return std::nullopt;
  const std::string text(version);
  return MemoryFigures::Allocator{.version = text.substr(0, text.find('-')),
                                  .allocated = told<size_t>("stats.allocated"),
                                  .active = told<size_t>("stats.active"),
                                  .resident = told<size_t>("stats.resident")};
}

rusage used(int whose) {
  rusage out{};
  ::getrusage(whose, &out);
  return out;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

MemoryFigures memory_figures() {
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  uint64_t all_pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> all_pages >> resident_pages;
  MemoryFigures out;
  out.allocator = allocator_figures();
  out.resident = resident_pages * page;
  out.resident_peak = std::max(out.resident, static_cast<uint64_t>(used(RUSAGE_SELF).ru_maxrss) * 1024);
  out.machine = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * page;
  return out;
}

CpuFigures cpu_figures() {
  const rusage all = used(RUSAGE_SELF);
  return {.user_seconds = seconds(all.ru_utime), .system_seconds = seconds(all.ru_stime)};
}

}  // namespace covey::server
