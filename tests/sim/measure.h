// How many seeds each deliberate bug of replication/bugs.h needs to be found. Only in the program that has
// them.
#pragma once

#include <cstddef>
#include <string>

namespace covey::sim {

bool activate_bug(const std::string& name);  // false: there is none of that name

// Prints a table; 1 if a bug was not found within its number of seeds. Of one bug, or of all if the name is
// empty.
int measure_bugs(size_t processes, const std::string& only);

// The same, but each bug is tried with the seed that the last measurement needed, and looked for from the
// first seed on only if that one shows it no more: seconds instead of minutes.
int find_bugs(size_t processes);

}  // namespace covey::sim
