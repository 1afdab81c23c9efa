// How a run ends when something that must hold does not.
#pragma once

#include <stdexcept>
#include <string>

namespace covey::sim {

// A promise of the store was broken.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A scenario can't be read; the text names the line.
struct ScenarioError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void fail(const std::string& what) { throw Failure(what); }
inline void require(bool holds, const std::string& what) {
  if (!holds) fail(what);
}

}  // namespace covey::sim
