// Preloaded into a node: its wall clock is off, and its disk is slow, by what two 64-bit integers say in the
// file that COVEY_FAULTS names: seconds, and milliseconds for each fsync and fdatasync. The test changes them
// while the node runs.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

struct Faults {
  std::atomic<int64_t> clock_seconds;
  std::atomic<int64_t> sync_ms;
};

constinit Faults none{};
constinit const Faults* faults = &none;

__attribute__((constructor)) void open_faults() {
  const char* name = std::getenv("COVEY_FAULTS");
  const int file = name != nullptr ? ::open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void* shared = ::mmap(nullptr, sizeof(Faults), PROT_READ, MAP_SHARED, file, 0);
  if (shared != MAP_FAILED) faults = static_cast<const Faults*>(shared);
  ::close(file);
}

int slowly(const char* name, int file) {
  if (const int64_t ms = faults->sync_ms; ms > 0) ::usleep(static_cast<useconds_t>(ms) * 1000);
  return reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, name))(file);
}

}  // namespace

extern "C" {

// By the system call: allocators ask for the time before a library could be looked up.
int clock_gettime(clockid_t clock, timespec* out) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_clock_gettime, clock, out));
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    out->tv_sec += faults->clock_seconds;
  return result;
}

int gettimeofday(timeval* __restrict out, void* __restrict) noexcept {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

int fsync(int file) { return slowly("fsync", file); }
int fdatasync(int file) { return slowly("fdatasync", file); }

}  // extern "C"
