#include "tests/sim/runner.h"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>

#include "tests/sim/failure.h"
#include "tests/sim/text.h"
#include "tests/sim/world.h"

namespace covey::sim {
namespace {

constexpr uint64_t converge_limit_us = 300'000'000;

Level level_of(const std::string& text, uint32_t replicas) {
  auto level = parse_level(text, replicas);
  if (!level)
    throw ScenarioError("'" + text + "' is not a level: one, quorum, all, or 1 to " +
                        std::to_string(replicas));
  return *level;
}

const std::map<std::string, ChangeKind> change_verbs = {
    {"incr", ChangeKind::increment},    {"sadd", ChangeKind::add},
    {"srem", ChangeKind::remove},       {"hset", ChangeKind::set_field},
    {"hdel", ChangeKind::remove_field}, {"hincr", ChangeKind::increment_field},
    {"expire", ChangeKind::expire}};

// Behind the key: a number; elements; a field and what it is set to or what is added; fields.
std::vector<Change> changes_of(const std::string& verb, const Arguments& arguments) {
  const ChangeKind kind = change_verbs.at(verb);
  if (kind == ChangeKind::expire) return {{kind, {}, {}}};
  if (kind == ChangeKind::increment) return {{kind, arguments.option("token").value_or(""), arguments.at(2)}};
  if (kind == ChangeKind::set_field || kind == ChangeKind::increment_field)
    return {{kind, arguments.at(2), arguments.at(3)}};
  std::vector<Change> out;
  for (size_t i = 2; i < arguments.size(); ++i) {
    if (arguments.at(i) != "strict" && arguments.at(i) != "reply-lost")
      out.push_back({kind, arguments.at(i), {}});
  }
  if (out.empty()) throw ScenarioError(verb + ": say which");
  return out;
}

class Runner {
 public:
  explicit Runner(bool traced) : traced_(traced) {}

  void line(const std::string& text) {
    std::vector<std::string> words = split_words(text);
    if (words.empty()) return;
    if (!world_ && apply_setup_line(setup_, words)) return;
    if (!world_) begin();
    if (Setup ignored = setup_; apply_setup_line(ignored, words))
      throw ScenarioError("the setup comes before the first step");
    std::string verb = words[0];
    words.erase(words.begin());
    std::vector<std::string> expected = take_expected(words);
    bool waits = true;
    if (!words.empty() && words.back() == "&") {
      waits = false;
      words.pop_back();
    }
    Arguments arguments(std::move(words));
    if (verb == "get" || verb == "put" || verb == "delete" || verb == "scan" || change_verbs.contains(verb)) {
      client(verb, arguments, expected, waits);
    } else if (verb == "expect") {
      expect(arguments.plain());
    } else if (!machine_step(verb, arguments) && !network_step(verb, arguments) &&
               !time_step(verb, arguments)) {
      throw ScenarioError("there is no step '" + verb + "'");
    }
  }

  void end(Outcome& outcome) {
    if (!world_) return;
    if (outcome.failed) world_->note_state();
    world_->finish();
    outcome.totals = world_->totals;
    outcome.digest = world_->digest();
    outcome.virtual_us = world_->now_us();
    outcome.trace = world_->trace();
    for (const auto& [label, number] : labels_) {
      const ClientOperation& operation = world_->operation(number);
      outcome.labelled.emplace_back(label, operation.shown + (operation.stale ? " (stale)" : ""));
    }
  }

 private:
  void begin() {
    // A cluster with fewer nodes than replicas waits for the others: it would never be quiet.
    setup_.replicas = std::min(setup_.replicas, setup_.nodes());
    world_ = std::make_unique<World>(setup_, traced_);
  }

  // What stands behind "->".
  static std::vector<std::string> take_expected(std::vector<std::string>& words) {
    auto arrow = std::find(words.begin(), words.end(), "->");
    if (arrow == words.end()) return {};
    std::vector<std::string> expected(arrow + 1, words.end());
    words.erase(arrow, words.end());
    if (expected.empty()) throw ScenarioError("something must stand behind ->");
    return expected;
  }

  void expect(const std::vector<std::string>& expected) {
    if (!last_operation_) throw ScenarioError("expect: no operation before");
    std::vector<std::string> shown = split_words(world_->operation(*last_operation_).shown);
    std::vector<std::string> wanted = expected;
    if (world_->operation(*last_operation_).request.operation == Operation::get)
      std::sort(wanted.begin(), wanted.end());
    bool whole = world_->operation(*last_operation_).response.status == Status::ok;
    bool same = whole ? shown == wanted
                      : shown.size() >= expected.size() &&
                            std::equal(expected.begin(), expected.end(), shown.begin());
    if (same) return;
    std::string text;
    for (const auto& word : expected) text += " " + word;
    fail("expected" + text + ", answered " + world_->operation(*last_operation_).shown);
  }

  void client(const std::string& verb, const Arguments& arguments, const std::vector<std::string>& expected,
              bool waits) {
    ClientOperation operation;
    Request& request = operation.request;
    Machine& machine = world_->serving(arguments.at(0));
    uint32_t replicas = setup_.replicas;
    operation.node = machine.index;
    operation.token_name = arguments.option("as").value_or("");
    operation.reply_lost = arguments.has("reply-lost");
    request.table = arguments.option("table").value_or("default");
    request.sloppy = !arguments.has("strict");
    request.timeout_ms =
        static_cast<uint32_t>(parse_duration_us(arguments.option("timeout").value_or("1s")) / 1000);
    const bool changes = change_verbs.contains(verb);
    bool write = verb == "put" || verb == "delete" || changes;
    request.level = level_of(arguments.option(write ? "w" : "r").value_or("quorum"), replicas);
    if (verb == "scan") {
      request.operation = Operation::scan;
      request.partition = PartitionId{static_cast<uint32_t>(parse_number(arguments.at(1)))};
      if (request.partition.value >= setup_.partitions) throw ScenarioError("there is no such partition");
      request.start_key = arguments.option("start").value_or("");
      request.limit = static_cast<uint32_t>(parse_number(arguments.option("limit").value_or("100")));
    } else {
      request.operation = verb == "get"   ? Operation::get
                          : verb == "put" ? Operation::put
                          : changes       ? Operation::change
                                          : Operation::erase;
      request.key = arguments.at(1);
    }
    if (verb == "put") request.value = arguments.at(2);
    if (changes) request.changes = changes_of(verb, arguments);
    request.if_absent = arguments.has("if-absent");
    if (auto ttl = arguments.option("ttl"))
      request.expires_ms = world_->wall_ms(machine) + parse_duration_us(*ttl) / 1000;
    size_t number = world_->submit(std::move(operation), arguments.option("context").value_or(""));
    last_operation_ = number;
    if (auto label = arguments.option("label")) labels_.emplace_back(*label, number);
    if (!waits) return;
    if (!world_->run_until([&] { return world_->operation(number).done; }, 60'000'000))
      fail("an operation was never answered");
    if (!expected.empty()) expect(expected);
  }

  bool machine_step(const std::string& verb, const Arguments& arguments) {
    static const std::map<std::string, std::function<void(World&, Machine&, const Arguments&)>> steps = {
        {"crash", [](World& w, Machine& m, const Arguments& a) { w.crash(m, a.has("keeps-some")); }},
        {"restart", [](World& w, Machine& m, const Arguments&) { w.start(m); }},
        {"join", [](World& w, Machine& m, const Arguments&) { w.join(m); }},
        {"leave", [](World& w, Machine& m, const Arguments&) { w.leave(m); }},
        {"remove", [](World& w, Machine& m, const Arguments&) { w.remove(m); }},
        {"repair", [](World& w, Machine& m, const Arguments&) { w.compare_copies(m); }},
        {"stop", [](World& w, Machine& m, const Arguments&) { w.stop(m); }},
        {"pause", [](World& w, Machine& m, const Arguments&) { w.pause(m); }},
        {"resume", [](World& w, Machine& m, const Arguments&) { w.resume(m); }},
        {"wipe", [](World& w, Machine& m, const Arguments&) { w.wipe(m); }},
        {"backup", [](World& w, Machine& m, const Arguments&) { w.back_up(m); }},
        {"restore", [](World& w, Machine& m, const Arguments& a) { w.restore(m, !a.has("unnoticed")); }},
        {"slow", [](World& w, Machine& m, const Arguments& a) { w.set_slow(m, parse_duration_us(a.at(1))); }},
        {"disk", disk_step},
        {"clock", clock_step}};
    auto found = steps.find(verb);
    if (found == steps.end()) return false;
    found->second(*world_, world_->machine(arguments.at(0)), arguments);
    return true;
  }

  static void disk_step(World& world, Machine& machine, const Arguments& arguments) {
    const std::string& what = arguments.at(1);
    if (what == "full")
      world.set_full(machine, true);
    else if (what == "space")
      world.set_full(machine, false);
    else if (what == "stalls")
      world.set_stalled(machine, true);
    else if (what == "runs")
      world.set_stalled(machine, false);
    else if (what == "fails")
      world.fail_next_write(machine);
    else if (what == "sync-fails")
      world.fail_next_sync(machine);
    else if (what == "rots" && arguments.has("table"))
      world.rot_table(machine);
    else if (what == "rots")
      world.rot(machine);
    else
      throw ScenarioError("disk: full, space, stalls, runs, fails, sync-fails, rots or rots table");
  }

  static void clock_step(World& world, Machine& machine, const Arguments& arguments) {
    const std::string& what = arguments.at(1);
    if (what == "freezes")
      world.freeze_clock(machine);
    else if (what == "right")
      world.set_clock_right(machine);
    else if (what == "drifts")
      world.drift_clock(machine, static_cast<int64_t>(parse_ppm(arguments.at(2))));
    else
      world.step_clock(machine, parse_signed_ms(what));
  }

  bool network_step(const std::string& verb, const Arguments& arguments) {
    if (verb == "network") {
      set_rules(arguments);
    } else if (verb == "partition") {
      partition(arguments.plain(), !arguments.has("silent"));
    } else if (verb == "cut") {
      world_->cut(world_->machine(arguments.at(0)), world_->machine(arguments.at(1)),
                  !arguments.has("silent"));
    } else if (verb == "mend") {
      world_->mend(world_->machine(arguments.at(0)), world_->machine(arguments.at(1)));
    } else if (verb == "heal") {
      world_->mend_all();
    } else if (verb == "reset") {
      world_->reset_connection(world_->machine(arguments.at(0)), world_->machine(arguments.at(1)));
    } else if (verb == "slow-link") {
      world_->slow_link(world_->machine(arguments.at(0)), world_->machine(arguments.at(1)),
                        parse_duration_us(arguments.at(2)));
    } else {
      return false;
    }
    return true;
  }

  void set_rules(const Arguments& arguments) {
    NetworkRules rules;
    auto share = [&](const char* name, uint64_t& ppm) {
      if (auto text = arguments.option(name)) ppm = parse_ppm(*text);
    };
    share("loss", rules.loss_ppm);
    share("duplicate", rules.duplicate_ppm);
    share("corrupt", rules.corrupt_ppm);
    share("garbage", rules.garbage_ppm);
    share("replay", rules.replay_ppm);
    auto range = [&](const char* name, uint64_t& low, uint64_t& high) {
      auto text = arguments.option(name);
      if (!text) return;
      size_t dots = text->find("..");
      low = parse_duration_us(text->substr(0, dots));
      high = dots == std::string::npos ? low : parse_duration_us(text->substr(dots + 2));
      if (high < low) throw ScenarioError("a range goes from low to high");
    };
    range("delay", rules.delay_min_us, rules.delay_max_us);
    rules.ordered = !arguments.has("unordered");
    if (auto text = arguments.option("room")) rules.room_bytes = parse_number(*text);
    world_->rules = rules;
    range("sync", world_->sync_rules.delay_min_us, world_->sync_rules.delay_max_us);
  }

  // Groups of nodes with | between them; a node that is not named is a group of its own.
  void partition(const std::vector<std::string>& words, bool noticed) {
    std::map<size_t, size_t> group_of;
    size_t group = 0;
    for (const auto& word : words) {
      if (word == "|")
        ++group;
      else if (word != "silent")
        group_of[world_->machine(word).index] = group;
    }
    for (Machine& a : world_->machines()) {
      for (Machine& b : world_->machines()) {
        if (a.index == b.index) continue;
        bool together = group_of.contains(a.index) && group_of.contains(b.index) &&
                        group_of[a.index] == group_of[b.index];
        if (together)
          world_->mend(a, b);
        else
          world_->cut(a, b, noticed);
      }
    }
    world_->totals.add("fault: partition");
  }

  bool time_step(const std::string& verb, const Arguments& arguments) {
    if (verb == "wait") {
      world_->run_for(parse_duration_us(arguments.at(0)));
    } else if (verb == "received") {
      const Machine& machine = world_->machine(arguments.at(0));
      const uint64_t wanted = world_->received(machine) + parse_number(arguments.at(1));
      world_->run_until([&] { return world_->received(machine) >= wanted; },
                        parse_duration_us(arguments.option("within").value_or("5s")));
    } else if (verb == "check") {
      world_->check_everything();
    } else if (verb == "converge" && !arguments.plain().empty()) {
      std::vector<size_t> members;
      for (const auto& name : arguments.plain()) members.push_back(world_->machine(name).index);
      world_->converge_group(members, converge_limit_us);
    } else if (verb == "converge") {
      world_->heal_everything();
      world_->converge(converge_limit_us);
    } else {
      return false;
    }
    return true;
  }

  bool traced_;
  Setup setup_;
  std::unique_ptr<World> world_;
  std::optional<size_t> last_operation_;
  std::vector<std::pair<std::string, size_t>> labels_;
};

}  // namespace

Outcome run_scenario(const std::vector<std::string>& lines, bool traced) {
  Outcome outcome;
  Runner runner(traced);
  size_t number = 0;
  try {
    for (const auto& line : lines) {
      ++number;
      runner.line(line);
    }
  } catch (const ScenarioError& error) {
    outcome.failed = outcome.unreadable = true;
    outcome.what = "line " + std::to_string(number) + ": " + error.what();
  } catch (const Failure& failure) {
    outcome.failed = true;
    outcome.what =
        std::string(failure.what()) + " [step " + std::to_string(number) + ": " + lines[number - 1] + "]";
  }
  if (outcome.failed) outcome.line = number;
  runner.end(outcome);
  return outcome;
}

}  // namespace covey::sim
