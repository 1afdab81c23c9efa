// Objects of one type that come and go by the hundred: the memory of those that are gone serves the next
// ones. An allocator keeps only a few blocks of a kilobyte at hand for a thread.
//
// Used by one thread. Outlives its objects.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

namespace covey {

template <class T>
class Pool {
 public:
  struct Deleter {
    Pool* pool = nullptr;
    void operator()(T* object) const { pool->take_back(object); }
  };
  using Pointer = std::unique_ptr<T, Deleter>;

  Pool() { free_.reserve(kept_max); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    for (void* memory : free_) ::operator delete(memory);
  }

  Pointer make() {
    void* memory = nullptr;
    if (free_.empty()) {
      memory = ::operator new(sizeof(T));
    } else {
      memory = free_.back();
      free_.pop_back();
    }
    return Pointer(new (memory) T, Deleter{this});
  }

 private:
#if defined(__SANITIZE_ADDRESS__)
  static constexpr size_t kept_max = 0;  // so that a use after the end is seen
#else
  static constexpr size_t kept_max = 512;
#endif

  void take_back(T* object) {
    object->~T();
    if (free_.size() < kept_max) {
      free_.push_back(object);
    } else {
      ::operator delete(object);
    }
  }

  std::vector<void*> free_;
};

}  // namespace covey
