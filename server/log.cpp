#include "server/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <memory>

#include "server/text.h"

namespace covey::server {
namespace {

// The message as a JSON string, so that a line of log is always JSON.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    std::string text;
    append_json_string(text, std::string_view(message.payload.data(), message.payload.size()));
    out.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonMessage>(); }
};

// The message with control characters spelled out: what strangers send can't begin a line of its own.
class TextMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    for (char character : message.payload) {
      auto byte = static_cast<unsigned char>(character);
      if (byte >= 0x20 && byte != 0x7f) {
        out.push_back(character);
        continue;
      }
      char spelled[8];
      int length = std::snprintf(spelled, sizeof spelled, "\\x%02x", byte);
      out.append(spelled, spelled + length);
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<TextMessage>(); }
};

}  // namespace

void start_log(const Config& config) {
  auto logger = std::make_shared<spdlog::logger>("covey", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  if (config.log_json) {
    formatter->add_flag<JsonMessage>('*').set_pattern(
        "{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",\"level\":\"%l\",\"node\":\"" + config.node +
        "\",\"message\":%*}");
  } else {
    formatter->add_flag<TextMessage>('*').set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l [" + config.node + "] %*");
  }
  logger->set_formatter(std::move(formatter));
  logger->set_level(spdlog::level::from_str(config.log_level));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

bool LogGate::open(const std::string& message) {
  if (entries_.size() >= entries_max) entries_.clear();
  auto now = std::chrono::steady_clock::now();
  auto [entry, fresh] = entries_.try_emplace(message);
  if (!fresh && now - entry->second.last < pause_) {
    ++entry->second.held_back;
    return false;
  }
  entry->second.last = now;
  entry->second.told_held_back = entry->second.held_back;
  entry->second.held_back = 0;
  return true;
}

uint64_t LogGate::held_back(const std::string& message) const {
  auto found = entries_.find(message);
  return found == entries_.end() ? 0 : found->second.told_held_back;
}

}  // namespace covey::server
