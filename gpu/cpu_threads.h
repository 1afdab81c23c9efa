// A fixed number of threads that work on one thing at a time and sleep in between.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace covey::agg {

class CpuThreads {
 public:
  // `count` workers, the caller's thread among them; 1 to 256.
  explicit CpuThreads(uint32_t count);
  ~CpuThreads();
  CpuThreads(const CpuThreads&) = delete;
  CpuThreads& operator=(const CpuThreads&) = delete;

  uint32_t count() const { return static_cast<uint32_t>(threads_.size()) + 1; }
  // Calls work(0) ... work(workers - 1), each on its own thread, and waits for all. REQUIRES 1 <= workers <=
  // count(); one caller at a time; work does not throw.
  void run(uint32_t workers, const std::function<void(uint32_t)>& work);

 private:
  void loop(uint32_t index);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  const std::function<void(uint32_t)>* work_ = nullptr;
  uint64_t round_ = 0;
  uint32_t workers_ = 0;
  uint32_t busy_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace covey::agg
