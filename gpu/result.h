// Operating errors of the aggregation library are values. Exceptions come out of it only where memory for a
// small object is missing; big allocations (tiles, states of groups) are checked and reported as kOutOfMemory
// or kTooLarge.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace covey::agg {

enum class ErrorCode : uint8_t {
  kBadQuery = 1,    // impossible request: wrong type of a constant, edges that do not rise, a limit passed
  kUnknownColumn,   // names a column that the schema lacks
  kNotNumeric,      // an operator that needs numbers on a string column
  kTooManyGroups,   // more groups than the query's limit_groups
  kTooLarge,        // the states of the groups would pass Plan's state_bytes_max
  kColumnNotReady,  // a column is still being filled, or was dropped for memory
  kBadUpdate,       // wrong type of a value, a slot beyond the limit, a row that is not live
  kDictionaryFull,  // more different strings in a column than the limit
  kOutOfMemory,     // host or device
  kDeviceFailed,    // the device answered with an error that is not about memory: it must not be used again
  kNoDevice,        // there is none, with the reason
  kCancelled,       // the caller asked for it
  kMismatch,        // partials of another plan, format or round
  kCorrupt,         // bytes that are damaged or cut short
  kNewerFormat,     // bytes of a later version
  kNotForDevice,    // a device can't take this question, or would be slower: never sent
};

struct Error {
  ErrorCode code = ErrorCode::kBadQuery;
  std::string message;  // one sentence that says what to do, for users
  std::string subject;  // the column concerned, if any
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}
  bool ok() const { return content_.index() == 0; }
  explicit operator bool() const { return ok(); }
  // REQUIRES ok()
  T& operator*() { return std::get<0>(content_); }
  const T& operator*() const { return std::get<0>(content_); }
  T* operator->() { return &std::get<0>(content_); }
  const T* operator->() const { return &std::get<0>(content_); }
  // REQUIRES !ok()
  const Error& error() const { return std::get<1>(content_); }

 private:
  std::variant<T, Error> content_;
};

struct Done {};
using Status = Result<Done>;

[[noreturn]] void invariant_failed(const char* what, const char* file, int line);

}  // namespace covey::agg

// Always on. The text says what must hold.
#define COVEY_AGG_ASSERT(condition)                                                   \
  do {                                                                                \
    if (!(condition)) ::covey::agg::invariant_failed(#condition, __FILE__, __LINE__); \
  } while (false)
