// Takes typed values out of a JSON object and remembers which keys were asked for, so that a misspelt key is
// an error that names its neighbours instead of a silent default. Throws ConfigFault; parse_config catches
// it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace covey::server {

struct ConfigFault {
  std::string message;  // "/path: what is wrong; what is allowed"
};

// Reads the text: syntax with its line and column, comments, keys given twice, ${NAME}.
nlohmann::json parse_config_json(std::string_view text);

class ConfigReader {
 public:
  ConfigReader(const nlohmann::json& object, std::string path);

  bool has(const char* key);
  std::string text(const char* key, const char* allowed);  // required
  std::string text_or(const char* key, std::string otherwise, const char* allowed);
  uint64_t number_or(const char* key, uint64_t otherwise, uint64_t least, uint64_t most);
  double real_or(const char* key, double otherwise, double above, double most);
  bool boolean_or(const char* key, bool otherwise);
  // One of a few words; answers its place in the list.
  size_t choice_or(const char* key, size_t otherwise, const std::vector<std::string>& words);
  std::vector<std::string> texts_or_none(const char* key, const char* allowed);
  // An empty object where the key is absent.
  ConfigReader object(const char* key);
  ConfigReader required_object(const char* key);
  const nlohmann::json* find(const char* key);
  std::string path_of(const std::string& key) const { return path_ + "/" + key; }

  // After all keys were asked for: fails if the object has another one.
  void finish() const;

  [[noreturn]] void fail(const std::string& key, const std::string& what) const;

 private:
  const nlohmann::json& object_;
  std::string path_;
  std::vector<std::string> known_;
};

}  // namespace covey::server
