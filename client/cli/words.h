// Splits a line of the shell into words as sh does: blanks separate, '...' keeps everything, "..." keeps all
// but backslashes before " and \, a backslash outside quotes keeps the next character. No variables, no
// globs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace covey::cli {

// nullopt when a quote is not closed or the line ends in a backslash.
std::optional<std::vector<std::string>> split_words(std::string_view line);

}  // namespace covey::cli
