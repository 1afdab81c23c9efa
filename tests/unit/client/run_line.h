// Runs the command line inside a test.
#pragma once

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "client/cli/app.h"
#include "tests/unit/client/fake_http_server.h"

namespace covey::cli {

namespace fs = std::filesystem;
using test::FakeHttpServer;
using test::FakeReply;
using test::FakeRequest;

struct Ran {
  int code = -1;
  std::string out;
  std::string err;
};

// Runs one command line with its standard streams in strings.
inline Ran run_line(std::vector<std::string> arguments, const std::string& input = {}) {
  std::ostringstream out, err;
  std::istringstream in(input);
  auto* const old_out = std::cout.rdbuf(out.rdbuf());
  auto* const old_err = std::cerr.rdbuf(err.rdbuf());
  auto* const old_in = std::cin.rdbuf(in.rdbuf());
  Session session{Settings{}};
  const int code = run_command_line(session, std::move(arguments), false);
  std::cout.rdbuf(old_out);
  std::cerr.rdbuf(old_err);
  std::cin.rdbuf(old_in);
  return {code, out.str(), err.str()};
}

inline FakeReply error(int status, const std::string& code) {
  return {.status = status, .body = R"({"error": {"code": ")" + code + R"(", "message": "why"}})"};
}

// A folder that is removed with all that is in it.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "covey-client-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

}  // namespace covey::cli
