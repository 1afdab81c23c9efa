// covey: the command line.
#include <iostream>

#include "client/cli/app.h"

int main(int count, char** words) try {
  std::ios::sync_with_stdio(false);
  covey::cli::Session session(covey::cli::Settings{});
  const int code =
      covey::cli::run_command_line(session, std::vector<std::string>(words + 1, words + count), false);
  std::cout.flush();
  if (code == covey::cli::exit_done && !std::cout) {
    std::cerr << "covey: standard output could not be written\n";
    return covey::cli::exit_failed;
  }
  return code;
} catch (const std::exception& problem) {
  std::cerr << "covey: " << problem.what() << "\n";
  return covey::cli::exit_failed;
}
