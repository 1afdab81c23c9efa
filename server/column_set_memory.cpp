// ColumnSet: what stays in memory. What was not asked for longest leaves first. Of tables that were last
// asked for at the same time, or never, the largest leaves as a whole as long as there are several: its keys
// take more memory than most columns, and are of no use without them. Of the last one its columns leave, the
// largest first, and then its rows.
#include <algorithm>
#include <utility>

#include "server/column_set.h"

namespace covey::server {
namespace {

constexpr uint64_t unused_ms_max = 1'000;     // loaded for a demand, and not used by it
constexpr uint64_t refused_for_ms = 300'000;  // before it is tried again
constexpr size_t refused_max = 16;            // of a table; the oldest is forgotten, and tried again

}  // namespace

bool ColumnSet::left(const ColumnPart& part, std::span<const uint32_t> columns) {
  if (part.state_ == ColumnPart::State::evicted) return true;
  return std::any_of(columns.begin(), columns.end(), [&](uint32_t column) {
    return column < part.columns_.time_column() && part.columns_.state(column) == agg::ColumnState::kAbsent;
  });
}

std::string ColumnSet::ask(const std::string& name, const std::string& definition,
                           std::span<const uint32_t> columns, uint64_t wall_ms) {
  now_ms_ = wall_ms;
  auto at = tables_.find({name, definition});
  if (at == tables_.end()) return {};
  Table& table = at->second;
  table.asked = ++turn_;
  std::vector<uint32_t> wanted;  // rising, as in a plan
  for (uint32_t column : columns) {
    if (column >= table.columns_asked.size()) continue;  // the time, which comes with the rows
    table.columns_asked[column] = turn_;
    wanted.push_back(column);
  }
  bool is_loading = false, has_left = false;
  for (const auto& [id, part] : table.parts) {
    if (part.state_ == ColumnPart::State::failed) continue;
    if (part.state_ == ColumnPart::State::loading) {
      is_loading = true;
    } else if (left(part, wanted)) {
      has_left = true;
    } else {
      is_loading = is_loading || !part.has(wanted);
    }
  }
  const bool ready = !is_loading && !has_left;
  if (ready && demand_ && demand_->table == at->first && demand_->columns == wanted) demand_.reset();
  if (is_loading || !has_left) return {};
  std::erase_if(table.refused, [&](const auto& refused) {
    return refused.second <= wall_ms || refused.second > wall_ms + refused_for_ms;
  });
  const bool refused = std::any_of(table.refused.begin(), table.refused.end(), [&](const auto& one) {
    return std::includes(wanted.begin(), wanted.end(), one.first.begin(), one.first.end());
  });
  if (refused) return too_little_memory + ("the columns of table " + name + " that are asked for together");
  if (!demand_ || demand_is_over(wall_ms)) load_again(at->first, table, std::move(wanted));
  return {};
}

bool ColumnSet::demand_is_over(uint64_t wall_ms) {
  auto table = tables_.find(demand_->table);
  if (table == tables_.end()) return true;
  for (const auto& [id, part] : table->second.parts) {
    if (part.state_ == ColumnPart::State::failed) continue;
    if (part.state_ != ColumnPart::State::loading && left(part, demand_->columns)) return true;
    if (part.state_ != ColumnPart::State::whole || !part.has(demand_->columns)) return false;
  }
  if (demand_->whole_ms == 0) demand_->whole_ms = wall_ms;
  return wall_ms < demand_->whole_ms || wall_ms > demand_->whole_ms + unused_ms_max;
}

void ColumnSet::load_again(const Name& name, Table& table, std::vector<uint32_t> columns) {
  flush();
  ++returns_;
  for (auto& [id, part] : table.parts) {
    if (part.state_ == ColumnPart::State::evicted) {
      part.state_ = ColumnPart::State::loading;
      rebuilt_ += part.from_ == ColumnPart::From::objects ? 1 : 0;
      table.evicted.clear();
    } else if (part.state_ == ColumnPart::State::whole) {
      for (uint32_t column : columns) {
        if (part.columns_.state(column) != agg::ColumnState::kAbsent) continue;
        part.columns_.set_state(column, agg::ColumnState::kFilling);
        part.filling_ = true;
      }
    }
  }
  for (uint32_t column : columns) table.evicted.erase(column);
  demand_ = Demand{name, std::move(columns)};
  for (uint32_t shard = 0; shard < options_.shards; ++shard) start_load(shard, table, true);
}

void ColumnSet::count_bytes(ColumnPart& part) {
  const uint64_t now = part.columns_.bytes() + part.keys_.bytes();
  bytes_ += now - part.bytes_;
  part.bytes_ = now;
}

uint64_t ColumnSet::memory_bytes() const {
  uint64_t bytes = bytes_;
  for (const auto& [name, table] : tables_) {
    for (const auto& dictionary : table.dictionaries) bytes += dictionary ? dictionary->bytes() : 0;
  }
  return bytes;
}

void ColumnSet::make_room() {
  while (memory_bytes() > options_.bytes_max) {
    if (auto victim = least_valuable()) {
      evict(*victim);
    } else if (demand_) {
      refuse_demand();
    } else {
      return;
    }
  }
}

bool ColumnSet::is_demanded(const Name& table, uint32_t column) const {
  if (!demand_ || demand_->table != table) return false;
  const auto& columns = demand_->columns;
  return column == whole_table || std::find(columns.begin(), columns.end(), column) != columns.end();
}

uint64_t ColumnSet::bytes_of(const Table& table, uint32_t column) const {
  uint64_t bytes = 0;
  for (const auto& [id, part] : table.parts)
    bytes += column == whole_table ? part.bytes_ : part.columns_.column_bytes(column);
  if (bytes == 0) return 0;
  for (uint32_t i = 0; i < table.dictionaries.size(); ++i) {
    if (table.dictionaries[i] && (column == whole_table || column == i))
      bytes += table.dictionaries[i]->bytes();
  }
  return bytes;
}

// nullopt: nothing may leave that takes memory.
std::optional<ColumnSet::Victim> ColumnSet::least_valuable() {
  struct Choice {
    Victim victim;
    uint64_t asked = 0;
    uint64_t bytes = 0;
  };
  std::vector<Choice> choices;
  for (auto at = tables_.begin(); at != tables_.end(); ++at) {
    const Table& table = at->second;
    auto add = [&](uint32_t column, uint64_t asked) {
      if (is_demanded(at->first, column)) return;
      const uint64_t bytes = bytes_of(table, column);
      if (bytes > 0) choices.push_back({{at, column}, asked, bytes});
    };
    add(whole_table, table.asked);
    for (uint32_t i = 0; i < table.columns_asked.size(); ++i) add(i, table.columns_asked[i]);
  }
  if (choices.empty()) return std::nullopt;
  const uint64_t longest_ago =
      std::min_element(choices.begin(), choices.end(), [](const Choice& a, const Choice& b) {
        return a.asked < b.asked;
      })->asked;
  std::erase_if(choices, [&](const Choice& choice) { return choice.asked != longest_ago; });
  auto is_whole = [](const Choice& choice) { return choice.victim.column == whole_table; };
  const bool several = std::count_if(choices.begin(), choices.end(), is_whole) > 1;
  auto last_to_leave = [&](const Choice& a, const Choice& b) {
    const bool a_fits = is_whole(a) == several, b_fits = is_whole(b) == several;
    return a_fits != b_fits ? b_fits : a.bytes < b.bytes;
  };
  return std::max_element(choices.begin(), choices.end(), last_to_leave)->victim;
}

void ColumnSet::evict(const Victim& victim) {
  Table& table = victim.table->second;
  table.evicted[victim.column] = bytes_of(table, victim.column);
  ++evictions_;
  for (auto& [id, part] : table.parts) {
    if (victim.column == whole_table) {
      evict_part(part, id);
      continue;
    }
    if (part.state_ != ColumnPart::State::whole && part.state_ != ColumnPart::State::loading) continue;
    part.columns_.set_state(victim.column, agg::ColumnState::kAbsent);
    bool fills = false;
    for (uint32_t i = 0; i < part.columns_.time_column(); ++i)
      fills = fills || part.columns_.state(i) == agg::ColumnState::kFilling;
    part.filling_ = part.filling_ && fills;
    count_bytes(part);
  }
  for (const auto& dictionary : table.dictionaries) {
    if (dictionary) dictionary->trim();
  }
}

// A part whose checkpoint holds what it holds will be taken from there: which keys change from now on is
// noted, as while a part waits for what was kept.
void ColumnSet::evict_part(ColumnPart& part, PartitionId partition) {
  if (part.state_ == ColumnPart::State::failed || part.state_ == ColumnPart::State::evicted) return;
  if (part.from_ == ColumnPart::From::waits) {
    part.state_ = ColumnPart::State::evicted;
    return;
  }
  auto state = states_.find(partition);
  const bool kept = history_ != nullptr && part.state_ == ColumnPart::State::whole &&
                    state != states_.end() && part.kept_ == state->second;
  reset(part);
  part.state_ = ColumnPart::State::evicted;
  if (!kept) return;
  part.begun_at_ = state->second;
  part.from_ = ColumnPart::From::waits;
}

// Nothing else is left that could make room for it.
void ColumnSet::refuse_demand() {
  const Demand demand = *std::exchange(demand_, std::nullopt);
  auto at = tables_.find(demand.table);
  if (at == tables_.end()) return;
  ++refusals_;
  Table& table = at->second;
  table.refused.emplace_back(demand.columns, now_ms_ + refused_for_ms);
  if (table.refused.size() > refused_max) table.refused.pop_front();
  const bool whole = std::any_of(table.parts.begin(), table.parts.end(), [](const auto& part) {
    return part.second.state_ == ColumnPart::State::loading;
  });
  if (whole) return evict({at, whole_table});
  for (uint32_t column : demand.columns) {
    const bool fills = std::any_of(table.parts.begin(), table.parts.end(), [&](const auto& part) {
      return part.second.columns_.state(column) == agg::ColumnState::kFilling;
    });
    if (fills) evict({at, column});
  }
}

ColumnSet::Counts ColumnSet::counts() const {
  Counts sum;
  sum.restored_total = restored_;
  sum.rebuilt_total = rebuilt_;
  sum.bytes = memory_bytes();
  sum.bytes_max = options_.bytes_max;
  sum.evictions_total = evictions_;
  sum.returns_total = returns_;
  sum.refused_total = refusals_;
  for (const auto& [name, table] : tables_) {
    for (const auto& [column, bytes] : table.evicted) {
      ++(column == whole_table ? sum.evicted_tables : sum.evicted_columns);
      sum.evicted_bytes += bytes;
    }
    for (const auto& [id, part] : table.parts) {
      ++sum.parts;
      sum.loading += part.state_ == ColumnPart::State::loading ? 1 : 0;
      sum.rebuilding +=
          part.state_ == ColumnPart::State::loading && part.from_ == ColumnPart::From::objects ? 1 : 0;
      sum.failed += part.state_ == ColumnPart::State::failed ? 1 : 0;
      sum.rows += part.columns_.rows();
      sum.conflicted += part.columns_.conflicted_rows();
    }
  }
  return sum;
}

}  // namespace covey::server
