// shell: the same commands, one a line, over connections that stay open.
#include <readline/history.h>
#include <readline/readline.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>

#include "client/cli/app.h"
#include "client/cli/commands.h"
#include "client/cli/words.h"

namespace covey::cli {
namespace {

constexpr int history_lines_max = 1000;

std::string history_file() {
  const char* home = std::getenv("HOME");
  return home ? std::string(home) + "/.covey_history" : std::string();
}

// What may stand where the cursor is, given the words before it.
std::vector<std::string> candidates(const std::vector<std::string>& before, const std::string& typed) {
  if (!before.empty() && typed.starts_with("-")) return option_names(before.front());
  if (before.empty()) {
    std::vector<std::string> names = command_names();
    names.insert(names.end(), {"help", "exit"});
    return names;
  }
  if (before.size() == 1 && before.front() != "help") return command_names(before.front());
  return before.size() == 1 ? command_names() : std::vector<std::string>();
}

std::vector<std::string> completion_matches;

char* next_match(const char*, int state) {
  const auto at = static_cast<size_t>(state);
  return at < completion_matches.size() ? ::strdup(completion_matches[at].c_str()) : nullptr;
}

char** complete(const char* text, int start, int) {
  rl_attempted_completion_over = 1;  // no file names
  const auto before = split_words(std::string_view(rl_line_buffer, static_cast<size_t>(start)));
  completion_matches.clear();
  if (!before) return nullptr;
  for (std::string& candidate : candidates(*before, text)) {
    if (candidate.starts_with(text)) completion_matches.push_back(std::move(candidate));
  }
  return completion_matches.empty() ? nullptr : rl_completion_matches(text, next_match);
}

// Lines from readline on a terminal, plain lines otherwise.
class LineReader {
 public:
  LineReader() : terminal_(::isatty(STDIN_FILENO) != 0), history_(history_file()) {
    if (!terminal_) return;
    rl_attempted_completion_function = complete;
    using_history();
    stifle_history(history_lines_max);
    if (!history_.empty()) read_history(history_.c_str());
  }
  ~LineReader() {
    if (terminal_ && !history_.empty()) write_history(history_.c_str());
  }
  bool terminal() const { return terminal_; }

  std::optional<std::string> next(const std::string& prompt) {
    std::string line;
    if (!terminal_) return std::getline(std::cin, line) ? std::optional(line) : std::nullopt;
    char* typed = ::readline(prompt.c_str());
    if (!typed) {
      std::cout << "\n";
      return std::nullopt;
    }
    line = typed;
    std::free(typed);
    if (line.find_first_not_of(" \t") != std::string::npos) add_history(line.c_str());
    return line;
  }

 private:
  bool terminal_;
  std::string history_;
};

}  // namespace

int run(Session& session, const ShellCommand&) {
  LineReader reader;
  if (reader.terminal()) std::cout << "covey shell: \"help\" lists the commands, \"exit\" leaves\n";
  int code = exit_done;
  while (const auto line = reader.next("covey " + session.settings().table + "> ")) {
    auto words = split_words(*line);
    if (!words) {
      std::cerr << "covey: a quote is not closed\n";
      code = exit_usage;
      continue;
    }
    if (words->empty() || words->front().starts_with("#")) continue;
    if (words->front() == "exit" || words->front() == "quit") break;
    if (words->front() == "help") {
      words->erase(words->begin());
      words->push_back("--help");
    }
    code = run_command_line(session, std::move(*words), true);
    std::cout.flush();
  }
  return code;
}

}  // namespace covey::cli
