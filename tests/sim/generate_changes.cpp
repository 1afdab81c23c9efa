// Changes to counters, sets and hashes.
#include "tests/sim/generator.h"
#include "tests/sim/text.h"

namespace covey::sim {

// Counters, sets and hashes: on keys of their own, now and then of another type than the change is for.
void Generator::draw_changes() {
  Random apart(options_.seed + apart_types);
  if (!apart.one_in(3)) return;
  const uint64_t gap = apart.pick(std::vector<uint64_t>{10'000, 30'000, 100'000});
  const auto who = [&] { return "n" + std::to_string(apart.between(1, setup_.nodes())); };
  const auto small = [&](uint64_t most) { return std::to_string(apart.between(1, most)); };
  const bool expires = apart.one_in(3);
  const bool latest = apart.one_in(3);
  const uint64_t strict_ppm = apart.pick(std::vector<uint64_t>{0, 500'000, 1'000'000});
  std::string lean = apart.pick(std::vector<std::string>{"one", "quorum", "all"});
  std::string last;  // a read's context
  uint64_t number = 0;
  for (uint64_t t = apart.between(0, 1'500'000); t < end_us_; t += apart.between(1, gap * 2)) {
    std::string tail = latest ? " table=latest" : "";
    if (apart.chance_ppm(strict_ppm)) tail += " strict";
    tail += " timeout=" + duration_text(apart.pick(std::vector<uint64_t>{200'000, 500'000})) + " &";
    const std::string level =
        apart.one_in(3) ? apart.pick(std::vector<std::string>{"one", "quorum", "all"}) : lean;
    const uint64_t type = apart.below(3);
    const std::string key = std::string(1, "ish"[apart.one_in(40) ? apart.below(3) : type]) + small(2);
    const std::string ttl =
        expires && apart.one_in(12) ? " ttl=" + duration_text(apart.between(50, 3'000) * 1'000) : "";
    const std::string rest = " w=" + level + ttl + tail;
    const uint64_t what = apart.below(20);
    ++number;
    if (what < 6) {
      const std::string name = "t" + std::to_string(number);
      at(t, "get " + who() + " " + key + " r=" + level + " as=" + name + tail);
      last = name + " " + key;
    } else if (what == 6) {
      const std::string context =
          last.ends_with(" " + key) ? " context=" + last.substr(0, last.find(' ')) : "";
      at(t, "delete " + who() + " " + key + " w=" + level + context + tail);
    } else if (what == 7 && expires) {
      at(t, "expire " + who() + " " + key + " w=" + level +
                (apart.one_in(4) ? "" : " ttl=" + duration_text(apart.between(50, 3'000) * 1'000)) + tail);
    } else if (what == 8 && type == 0) {
      at(t, "put " + who() + " " + key + " " + small(50) + " w=" + level + tail);
    } else if (type == 0) {
      const std::string token = apart.one_in(3) ? " token=k" + std::to_string(number) : "";
      const std::string line = " " + key + " " + (apart.one_in(4) ? "-" : "") + small(9) + token + rest;
      at(t, "incr " + who() + line);
      // Sent again, as a client does that was not answered.
      if (!token.empty() && apart.one_in(2)) at(t + apart.between(1, 600'000), "incr " + who() + line);
    } else if (type == 1) {
      const std::string more = apart.one_in(3) ? " e" + small(5) : "";
      at(t, std::string(apart.one_in(3) ? "srem " : "sadd ") + who() + " " + key + " e" + small(5) + more +
                rest);
    } else if (apart.one_in(4)) {
      at(t, "hdel " + who() + " " + key + " f" + small(3) + rest);
    } else if (apart.one_in(3)) {
      at(t, "hincr " + who() + " " + key + " f" + small(3) + " " + small(9) + rest);
    } else {
      at(t, "hset " + who() + " " + key + " f" + small(3) + " " + small(99) + rest);
    }
  }
}

}  // namespace covey::sim
