// Operating errors are values; a broken invariant stops the program, in release too, with what it saw.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <utility>
#include <variant>

namespace covey {

template <class T, class E>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(E error) : content_(std::in_place_index<1>, std::move(error)) {}
  bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // REQUIRES ok()
  T& operator*() { return std::get<0>(content_); }
  const T& operator*() const { return std::get<0>(content_); }
  T* operator->() { return &std::get<0>(content_); }
  const T* operator->() const { return &std::get<0>(content_); }
  // REQUIRES !ok()
  const E& error() const { return std::get<1>(content_); }

 private:
  std::variant<T, E> content_;
};

struct Done {};  // the value of a Result that has nothing to say but success

[[noreturn]] inline void invariant_failed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "covey: invariant broken: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace covey

// Always on. The text says what must hold.
#define COVEY_ASSERT(condition)                                                  \
  do {                                                                           \
    if (!(condition)) ::covey::invariant_failed(#condition, __FILE__, __LINE__); \
  } while (false)
