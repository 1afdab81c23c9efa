#include "gpu/tests/emulated_device.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "gpu/cuda_body.h"
#include "gpu/tests/check.h"

#ifdef __SANITIZE_ADDRESS__
extern "C" void __asan_poison_memory_region(const volatile void* at, size_t bytes);
extern "C" void __asan_unpoison_memory_region(const volatile void* at, size_t bytes);
#endif

namespace covey::agg::test {

namespace {

using cuda::Kernel;

void poison([[maybe_unused]] std::byte* at, [[maybe_unused]] uint64_t bytes, [[maybe_unused]] bool poisoned) {
#ifdef __SANITIZE_ADDRESS__
  if (poisoned) {
    __asan_poison_memory_region(at, bytes);
  } else {
    __asan_unpoison_memory_region(at, bytes);
  }
#endif
}

struct FreeHeap {
  void operator()(std::byte* at) const { std::free(at); }
};
using Heap = std::unique_ptr<std::byte, FreeHeap>;

// One block of threads.
class EmulatedBlock {
 public:
  EmulatedBlock(uint32_t number, uint32_t count, uint32_t shared_bytes, Random& random)
      : number_(number), count_(count), random_(random), shared_(shared_bytes / 8), order_(cuda::kThreads) {
    for (uint64_t& word : shared_) word = 0xa5a5a5a5a5a5a5a5u;
    std::iota(order_.begin(), order_.end(), 0u);
  }
  uint32_t block() const { return number_; }
  uint32_t blocks() const { return count_; }
  unsigned char* shared() { return reinterpret_cast<unsigned char*>(shared_.data()); }
  template <class F>
  void each(F&& action) {
    // From any thread on, up or down.
    const auto first = random_.below(cuda::kThreads);
    const bool down = random_.chance(0.5);
    for (uint32_t i = 0; i < cuda::kThreads; ++i) {
      const uint64_t at = first + (down ? cuda::kThreads - i : i);
      action(static_cast<uint32_t>(at % cuda::kThreads));
    }
  }
  void add(uint64_t* at, uint64_t value) { *at += value; }
  void most(uint64_t* at, uint64_t value) { *at = std::max(*at, value); }
  uint64_t exchange_if(uint64_t* at, uint64_t expected, uint64_t value) {
    const uint64_t there = *at;
    if (there == expected) *at = value;
    return there;
  }
  uint32_t add32(uint32_t* at, uint32_t value) {
    const uint32_t there = *at;
    *at = there + value;
    return there;
  }
  void most32(uint32_t* at, uint32_t value) { *at = std::max(*at, value); }
  void or32(uint32_t* at, uint32_t value) { *at |= value; }

 private:
  uint32_t number_;
  uint32_t count_;
  Random& random_;
  std::vector<uint64_t> shared_;
  std::vector<uint32_t> order_;
};

class EmulatedDevice final : public cuda::Device {
 public:
  EmulatedDevice(const EmulatedOptions& options, std::shared_ptr<DeviceLog> log) : log_(std::move(log)) {
    info_ = {"an emulation for tests", options.bytes / 9 * 10 + 10, options.blocks, options.shared_bytes};
  }
  ~EmulatedDevice() override {
    for (auto& [at, bytes] : sizes_) poison(at, bytes, false);
  }

  const cuda::DeviceInfo& info() const override { return info_; }
  Result<std::byte*> allocate(uint64_t bytes) override {
    if (const auto fault = next()) return *fault;
    return take(bytes);
  }
  Result<std::byte*> allocate_pinned(uint64_t bytes) override {
    if (const auto fault = next()) return *fault;
    return take(bytes);
  }
  void in_use(std::byte* at, uint64_t bytes, bool used) override {
    poison(at, bytes, false);
    if (used) std::memset(at, 0xa5, bytes);  // nobody may count on zeros
    if (!used) poison(at, bytes, true);
  }

  Status upload(std::byte* to, const std::byte* from, uint64_t bytes) override {
    return later([this, to, from, bytes] {
      std::memcpy(to, from, bytes);
      log_->uploaded += bytes;
    });
  }
  Status download(std::byte* to, const std::byte* from, uint64_t bytes) override {
    return later([to, from, bytes] { std::memcpy(to, from, bytes); });
  }
  Status clear(std::byte* at, uint64_t bytes) override {
    return later([at, bytes] { std::memset(at, 0, bytes); });
  }
  Status launch(Kernel kernel, uint32_t blocks, uint32_t shared_bytes, const void* job) override {
    CHECK(blocks >= 1 && blocks <= info_.blocks && shared_bytes <= info_.shared_bytes);
    ++log_->launches[kernel];
    const auto run = [&](auto copied, auto body) {
      return later([this, blocks, shared_bytes, copied, body] {
        std::vector<uint32_t> order(blocks);
        std::iota(order.begin(), order.end(), 0u);
        random_.shuffle(order);
        for (const uint32_t number : order) {
          EmulatedBlock block(number, blocks, shared_bytes, random_);
          body(block, copied);
        }
      });
    };
    switch (kernel) {
      case Kernel::kScan:
        return run(*static_cast<const cuda::ScanJob*>(job),
                   [](auto& b, const auto& j) { cuda::scan_kernel(b, j); });
      case Kernel::kOne:
        return run(*static_cast<const cuda::ScanJob*>(job),
                   [](auto& b, const auto& j) { cuda::one_kernel(b, j); });
      case Kernel::kCarry:
        return run(*static_cast<const cuda::CarryJob*>(job),
                   [](auto& b, const auto& j) { cuda::carry_kernel(b, j); });
      case Kernel::kRefine:
        return run(*static_cast<const cuda::RefineJob*>(job),
                   [](auto& b, const auto& j) { cuda::refine_kernel(b, j); });
      case Kernel::kRead:
        return run(*static_cast<const cuda::ReadJob*>(job),
                   [](auto& b, const auto& j) { cuda::read_kernel(b, j); });
    }
    std::abort();
  }
  Status mark(int which) override {
    return later([this, which] { ++reached_[which]; }, ++marked_[which]);
  }
  Status wait_for(int which) override {
    if (const auto fault = next()) return *fault;
    while (reached_[which] < marked_[which]) step();
    return Done{};
  }
  Status wait() override {
    if (const auto fault = next()) return *fault;
    while (!pending_.empty()) step();
    return Done{};
  }

 private:
  Result<std::byte*> take(uint64_t bytes) {
    auto* const at = static_cast<std::byte*>(std::aligned_alloc(256, (bytes + 255) / 256 * 256));
    CHECK(at != nullptr);
    blocks_.emplace_back(at);
    sizes_.emplace_back(at, bytes);
    return at;
  }
  std::optional<Error> next() {
    ++log_->calls;
    CHECK(!failed_);  // nobody asks a device that has failed
    if (log_->calls != log_->fail_call) return std::nullopt;
    failed_ = log_->fail_with == ErrorCode::kDeviceFailed;
    return Error{log_->fail_with, "made to fail", ""};
  }
  Status later(std::function<void()> work, int = 0) {
    if (const auto fault = next()) return *fault;
    pending_.push_back(std::move(work));
    return Done{};
  }
  void step() {
    const std::function<void()> work = std::move(pending_.front());
    pending_.pop_front();
    work();
  }

  std::shared_ptr<DeviceLog> log_;
  cuda::DeviceInfo info_;
  Random random_{4711};
  std::vector<Heap> blocks_;
  std::vector<std::pair<std::byte*, uint64_t>> sizes_;
  std::deque<std::function<void()>> pending_;
  int marked_[2] = {};
  int reached_[2] = {};
  bool failed_ = false;
};

}  // namespace

Result<std::unique_ptr<Backend>> try_emulated_backend(EmulatedOptions options,
                                                      std::shared_ptr<DeviceLog> log) {
  if (!log) log = std::make_shared<DeviceLog>();
  return cuda::make_device_backend(std::make_unique<EmulatedDevice>(options, std::move(log)),
                                   {.rows_a_word = options.rows_a_word});
}

std::unique_ptr<Backend> make_emulated_backend(EmulatedOptions options, std::shared_ptr<DeviceLog> log) {
  Result<std::unique_ptr<Backend>> made = try_emulated_backend(options, std::move(log));
  CHECK(made.ok());
  return std::move(*made);
}

}  // namespace covey::agg::test
