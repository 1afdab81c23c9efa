// A test program of its own, so that gpu/ needs no test library: cases register themselves, CHECK goes on
// after a failure, and each case says how much it checked.
#pragma once

#include <cstdint>
#include <sstream>
#include <string>

namespace covey::agg::test {

struct Case {
  const char* name;
  void (*run)();
};
void add_case(Case added);
void count_check(bool ok, const char* file, int line, const std::string& what);
// Leaves the case out, with the reason.
void skip(const std::string& reason);

struct Registration {
  Registration(const char* name, void (*run)()) { add_case({name, run}); }
};

// Both values, from shortly before where they begin to differ.
std::string around_difference(const char* text, std::string a, std::string b);

template <class A, class B>
std::string differing(const char* text, const A& a, const B& b) {
  std::ostringstream first, second;
  first.precision(17);
  second.precision(17);
  first << a;
  second << b;
  return around_difference(text, first.str(), second.str());
}

}  // namespace covey::agg::test

#define COVEY_AGG_JOIN_(a, b) a##b
#define COVEY_AGG_JOIN(a, b) COVEY_AGG_JOIN_(a, b)
#define COVEY_AGG_TEST_CASE(name, function)                                                     \
  static void function();                                                                       \
  static const covey::agg::test::Registration COVEY_AGG_JOIN(function, _added)(name, function); \
  static void function()
// Counted, not by line: several files may be compiled as one.
#define TEST_CASE(name) COVEY_AGG_TEST_CASE(name, COVEY_AGG_JOIN(test_case_, __COUNTER__))
#define CHECK(condition) \
  ::covey::agg::test::count_check(static_cast<bool>(condition), __FILE__, __LINE__, #condition)
#define CHECK_EQUAL(a, b)                                                               \
  do {                                                                                  \
    const auto check_a = (a);                                                           \
    const auto check_b = (b);                                                           \
    const bool check_ok = check_a == check_b;                                           \
    ::covey::agg::test::count_check(                                                    \
        check_ok, __FILE__, __LINE__,                                                   \
        check_ok ? "" : ::covey::agg::test::differing(#a " == " #b, check_a, check_b)); \
  } while (false)
