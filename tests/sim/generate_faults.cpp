// What breaks, when, and for how long.
#include "tests/sim/generator.h"
#include "tests/sim/text.h"

namespace covey::sim {

void Generator::draw_faults(const std::string& kind) {
  uint64_t gap = random_.pick(std::vector<uint64_t>{300'000, 1'000'000, 3'000'000});
  for (uint64_t t = random_.between(0, gap * 2); t < end_us_; t += random_.between(gap / 10, gap * 2)) {
    if (kind == "partition")
      draw_partition(t);
    else if (kind == "network")
      draw_link_fault(t);
    else if (kind == "crash")
      draw_crash(t);
    else if (kind == "disk")
      draw_disk_fault(t);
    else
      draw_clock_fault(t);
  }
}

void Generator::draw_partition(uint64_t t) {
  std::string line = "partition";
  uint64_t groups = random_.between(2, 3);
  std::vector<std::string> members(groups);
  for (uint32_t i = 1; i <= setup_.nodes(); ++i) members[random_.below(groups)] += " n" + std::to_string(i);
  for (uint64_t group = 0; group < groups; ++group) line += (group > 0 ? " |" : "") + members[group];
  if (random_.one_in(2)) line += " silent";
  at(t, line);
  at(soon(t, random_.pick(std::vector<uint64_t>{100'000, 2'000'000, 5'000'000})), "heal");
}

void Generator::draw_link_fault(uint64_t t) {
  std::string a = node(), b = node();
  if (a == b) return;
  switch (random_.below(4)) {
    case 0:  // one way
      at(t, "cut " + a + " " + b + (random_.one_in(2) ? " silent" : ""));
      at(soon(t, 3'000'000), "mend " + a + " " + b);
      break;
    case 1:  // flapping
      for (uint64_t i = 0; i < 4; ++i) {
        at(t + i * 200'000, "cut " + a + " " + b);
        at(t + i * 200'000 + 100'000, "mend " + a + " " + b);
      }
      break;
    case 2:
      at(t, "reset " + a + " " + b);
      break;
    default:
      at(t, "slow-link " + a + " " + b + " " + duration_text(random_.between(50, 1500) * 1000));
      at(soon(t, 3'000'000), "slow-link " + a + " " + b + " 0us");
  }
}

void Generator::draw_crash(uint64_t t) {
  std::string who = node();
  switch (random_.below(7)) {
    case 0:
      at(t, "pause " + who);
      at(soon(t, 4'000'000), "resume " + who);
      break;
    case 1:
      at(t, "stop " + who);
      at(soon(t, 1'000'000), "restart " + who);
      break;
    case 2:  // a restart loop
      for (uint64_t i = 0; i < 4; ++i) {
        at(t + i * 150'000, "crash " + who);
        at(t + i * 150'000 + random_.between(1'000, 140'000), "restart " + who);
      }
      break;
    case 3:
      at(t, "slow " + who + " " + duration_text(random_.between(5, 400) * 1000));
      at(soon(t, 2'000'000), "slow " + who + " 0us");
      break;
    default:
      at(t, "crash " + who + (random_.one_in(2) ? " keeps-some" : ""));
      at(soon(t, random_.pick(std::vector<uint64_t>{50'000, 1'000'000, 5'000'000})), "restart " + who);
  }
}

void Generator::draw_disk_fault(uint64_t t) {
  std::string who = node();
  uint64_t later = soon(t, 2'000'000);
  if (setup_.rocksdb && random_.one_in(5)) {
    at(t, "disk " + who + " rots");
    at(soon(t, 1'000'000), "restart " + who);
    return;
  }
  switch (random_.below(7)) {
    case 0:
      at(t, "disk " + who + " fails");
      break;
    case 1:
      at(t, "disk " + who + " full");
      at(later, "disk " + who + " space");
      break;
    case 2:
      at(t, "disk " + who + " stalls");
      at(later, "disk " + who + " runs");
      break;
    case 3:
      at(t, "backup " + who);
      at(later, "restore " + who);
      at(soon(later, 300'000), "restart " + who);
      break;
    case 4:  // a copy of a directory that was closed in order looks untouched
      at(t, "stop " + who);
      at(t + 1'000, "backup " + who);
      at(t + 2'000, "restart " + who);
      at(later + 500'000, "restore " + who + " unnoticed");
      at(soon(later + 500'000, 300'000), "restart " + who);
      break;
    case 5:
      at(t, "wipe " + who);
      at(soon(t, 1'000'000), "restart " + who);
      break;
    default:  // an fsync that fails ends the process
      at(t, "disk " + who + " sync-fails");
  }
}

void Generator::draw_table_damage() {
  Random apart(options_.seed + apart_tables);
  if (!options_.faults.contains("disk") || !apart.one_in(6)) return;
  for (uint64_t i = apart.between(1, 3); i > 0; --i) {
    at(apart.between(0, end_us_),
       "disk n" + std::to_string(apart.between(1, setup_.nodes())) + " rots table");
  }
}

void Generator::draw_clock_fault(uint64_t t) {
  std::string who = node();
  switch (random_.below(4)) {
    case 0:
      at(t, "clock " + who + " drifts " + percent_text(random_.between(1'000, 200'000)));
      break;
    case 1:
      at(t, "clock " + who + " freezes");
      break;
    case 2:
      at(t, "clock " + who + " " + (random_.one_in(2) ? "+" : "-") +
                duration_text(random_.between(10, 20'000) * 1000));
      break;
    default:
      if (random_.one_in(4)) at(t, "clock " + who + " +50000000s");
  }
  if (random_.one_in(2)) at(soon(t, 3'000'000), "clock " + who + " right");
}

}  // namespace covey::sim
