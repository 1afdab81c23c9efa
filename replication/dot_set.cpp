#include "replication/dot_set.h"

#include <algorithm>
#include <iterator>

#include "replication/hash.h"
#include "replication/result.h"

namespace covey {
namespace {

using Run = DotSet::Run;
using Runs = DotSet::Runs;
using Entry = DotSet::Entry;

auto lower(std::vector<Entry>& entries, Actor actor) {
  return std::lower_bound(entries.begin(), entries.end(), actor,
                          [](const Entry& entry, Actor wanted) { return entry.actor < wanted; });
}

// `next` begins inside `run` or right behind it. (Written so that no counter wraps around.)
bool touches(const Run& run, const Run& next) { return next.first <= run.last || next.first - run.last == 1; }

Runs union_of(const Runs& a, const Runs& b) {
  Runs all;
  all.reserve(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(all));
  Runs out;
  for (const Run& run : all) {
    if (!out.empty() && touches(out.back(), run)) {
      out.back().last = std::max(out.back().last, run.last);
    } else {
      out.push_back(run);
    }
  }
  return out;
}

Runs difference_of(const Runs& a, const Runs& b) {
  Runs out;
  size_t next = 0;
  for (Run run : a) {
    while (next < b.size() && b[next].last < run.first) ++next;
    bool left = true;
    for (size_t i = next; left && i < b.size() && b[i].first <= run.last; ++i) {
      if (b[i].first > run.first) out.push_back({run.first, b[i].first - 1});
      left = b[i].last < run.last;
      if (left) run.first = b[i].last + 1;
    }
    if (left) out.push_back(run);
  }
  return out;
}

bool covers(const Entry& entry, uint64_t first, uint64_t last) {
  if (last <= entry.base) return true;
  if (first <= entry.base) first = entry.base + 1;
  auto run = std::lower_bound(entry.runs.begin(), entry.runs.end(), last,
                              [](const Run& a, uint64_t wanted) { return a.last < wanted; });
  return run != entry.runs.end() && run->first <= first;
}

}  // namespace

uint64_t DotSet::Entry::count() const {
  uint64_t sum = base;
  for (const Run& run : runs) sum += run.last - run.first + 1;
  return sum;
}

DotSet::DotSet(std::initializer_list<Dot> dots) {
  for (const Dot& dot : dots) add(dot);
}

const DotSet::Entry* DotSet::find(Actor actor) const {
  auto at = std::lower_bound(entries_.begin(), entries_.end(), actor,
                             [](const Entry& entry, Actor wanted) { return entry.actor < wanted; });
  return at != entries_.end() && at->actor == actor ? &*at : nullptr;
}

DotSet::Entry& DotSet::entry(Actor actor) {
  auto at = lower(entries_, actor);
  if (at == entries_.end() || at->actor != actor) at = entries_.insert(at, Entry{actor, 0, {}});
  return *at;
}

Runs DotSet::runs_of(const Entry& entry) {
  Runs out;
  out.reserve(entry.runs.size() + 1);
  if (entry.base > 0) out.push_back({1, entry.base});
  out.insert(out.end(), entry.runs.begin(), entry.runs.end());
  return out;
}

void DotSet::set_runs(Actor actor, Runs runs) {
  if (runs.empty()) {
    erase(actor);
    return;
  }
  Entry& changed = entry(actor);
  changed.base = 0;
  if (runs.front().first == 1) {
    changed.base = runs.front().last;
    runs.erase(runs.begin());
  }
  changed.runs = std::move(runs);
}

bool DotSet::contains(Dot dot) const {
  const Entry* entry = find(dot.actor);
  return entry != nullptr && dot.counter.value > 0 && covers(*entry, dot.counter.value, dot.counter.value);
}

bool DotSet::contains(const DotSet& other) const {
  for (const Entry& theirs : other.entries_) {
    const Entry* mine = find(theirs.actor);
    if (mine == nullptr) return false;
    if (theirs.base > 0 && !covers(*mine, 1, theirs.base)) return false;
    for (const Run& run : theirs.runs) {
      if (!covers(*mine, run.first, run.last)) return false;
    }
  }
  return true;
}

void DotSet::add(Actor actor, Run run) {
  COVEY_ASSERT(run.first >= 1 && run.first <= run.last);
  Entry& changed = entry(actor);
  if (run.last <= changed.base) return;
  auto& runs = changed.runs;
  if (run.first <= changed.base || run.first - changed.base == 1) {  // the usual case: the next counter
    changed.base = run.last;
    auto beyond = runs.begin();
    for (; beyond != runs.end() && touches({1, changed.base}, *beyond); ++beyond) {
      changed.base = std::max(changed.base, beyond->last);
    }
    runs.erase(runs.begin(), beyond);
    return;
  }
  // The runs that touch this one become one with it.
  auto first = std::lower_bound(runs.begin(), runs.end(), run, [](const Run& a, const Run& b) {
    return a.last < b.first && !touches(a, b);
  });
  auto end = first;
  for (; end != runs.end() && touches(run, *end); ++end) {
    run.first = std::min(run.first, end->first);
    run.last = std::max(run.last, end->last);
  }
  if (first == end) {
    runs.insert(first, run);
  } else {
    *first = run;
    runs.erase(first + 1, end);
  }
}

void DotSet::join(const DotSet& other) {
  for (const Entry& theirs : other.entries_) {
    if (theirs.base > 0) add(theirs.actor, {1, theirs.base});
    if (theirs.runs.size() == 1) {
      add(theirs.actor, theirs.runs[0]);
    } else if (!theirs.runs.empty()) {
      set_runs(theirs.actor, union_of(runs_of(entry(theirs.actor)), theirs.runs));
    }
  }
}

void DotSet::subtract(const DotSet& other) {
  for (const Entry& theirs : other.entries_) {
    const Entry* mine = find(theirs.actor);
    if (mine == nullptr || mine->lowest() > theirs.highest()) continue;  // as with a new dot and a clock
    if (mine->highest() <= theirs.base) {
      erase(theirs.actor);
    } else {
      set_runs(theirs.actor, difference_of(runs_of(*mine), runs_of(theirs)));
    }
  }
}

void DotSet::intersect(const DotSet& other) {
  DotSet only_here = *this;
  only_here.subtract(other);
  subtract(only_here);
}

DotSet DotSet::bases() const {
  DotSet out;
  for (const Entry& entry : entries_) {
    if (entry.base > 0) out.entries_.push_back({entry.actor, entry.base, {}});
  }
  return out;
}

void DotSet::join_bases(const DotSet& clock) {
  for (const Entry& theirs : clock.entries_) {
    if (theirs.base > 0) add(theirs.actor, {1, theirs.base});
  }
}

void DotSet::subtract_bases(const DotSet& clock) {
  auto kept = entries_.begin();
  for (Entry& mine : entries_) {
    const uint64_t base = clock.base(mine.actor);
    if (mine.highest() <= base) continue;
    if (mine.lowest() <= base) {
      mine.runs = difference_of(runs_of(mine), {{1, base}});
      mine.base = 0;
    }
    if (&*kept != &mine) *kept = std::move(mine);
    ++kept;
  }
  entries_.erase(kept, entries_.end());
}

void DotSet::erase(Actor actor) {
  auto at = lower(entries_, actor);
  if (at != entries_.end() && at->actor == actor) entries_.erase(at);
}

uint64_t DotSet::base(Actor actor) const {
  const Entry* entry = find(actor);
  return entry == nullptr ? 0 : entry->base;
}

uint64_t DotSet::highest(Actor actor) const {
  const Entry* entry = find(actor);
  return entry == nullptr ? 0 : entry->highest();
}

uint64_t DotSet::count() const {
  uint64_t sum = 0;
  for (const Entry& entry : entries_) sum += entry.count();
  return sum;
}

bool DotSet::has_gaps() const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [](const Entry& entry) { return !entry.runs.empty(); });
}

uint64_t DotSet::hash() const {
  uint64_t out = 0x636f766579646f74;
  for (const Entry& entry : entries_) {
    out = hash_pair(out, entry.actor.value);
    out = hash_pair(out, entry.base);
    out = hash_pair(out, entry.runs.size());
    for (const Run& run : entry.runs) out = hash_pair(hash_pair(out, run.first), run.last);
  }
  return out;
}

}  // namespace covey
