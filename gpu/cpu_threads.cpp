#include "gpu/cpu_threads.h"

#include "gpu/result.h"

namespace covey::agg {

CpuThreads::CpuThreads(uint32_t count) {
  COVEY_AGG_ASSERT(count >= 1 && count <= 256);
  for (uint32_t index = 1; index < count; ++index) threads_.emplace_back([this, index] { loop(index); });
}

CpuThreads::~CpuThreads() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void CpuThreads::run(uint32_t workers, const std::function<void(uint32_t)>& work) {
  COVEY_AGG_ASSERT(workers >= 1 && workers <= count());
  if (workers > 1) {
    const std::lock_guard lock(mutex_);
    work_ = &work;
    workers_ = workers;
    busy_ = workers - 1;
    ++round_;
  }
  if (workers > 1) wake_.notify_all();
  work(0);
  if (workers == 1) return;
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return busy_ == 0; });
}

void CpuThreads::loop(uint32_t index) {
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || round_ != seen; });
    if (stopping_) return;
    seen = round_;
    if (index >= workers_) continue;
    const std::function<void(uint32_t)>& work = *work_;
    lock.unlock();
    work(index);
    lock.lock();
    if (--busy_ == 0) done_.notify_one();
  }
}

}  // namespace covey::agg
