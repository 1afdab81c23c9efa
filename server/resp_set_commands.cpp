// Sets: an element that one node adds stays though another removes it at the same time.
#include <algorithm>
#include <iterator>

#include "server/glob.h"
#include "server/resp_commands.h"
#include "server/resp_value.h"

namespace covey::server {
namespace {

using Members = std::vector<std::string>;  // ascending

// Reads the set that is words[1], which may be absent.
void read_set(RespCall& call, std::function<void(RespReply&, const Members&)> answer) {
  auto take = [](const Object& object) {
    const auto all = members(object);
    return Members(all.begin(), all.end());
  };
  read_typed<Members>(call, Type::set, take, std::move(answer));
}

bool contains(const Members& set, const std::string& element) {
  return std::binary_search(set.begin(), set.end(), element);
}

std::vector<std::string> words_from(RespCall& call, size_t first) {
  return {std::make_move_iterator(call.words.begin() + static_cast<ptrdiff_t>(first)),
          std::make_move_iterator(call.words.end())};
}

void change_set(RespCall& call, ChangeKind kind) {
  std::vector<Change> changes;
  for (std::string& element : words_from(call, 2)) changes.push_back({kind, std::move(element), {}});
  change_key(call, std::move(changes), [](RespReply& reply, const Changed& changed) {
    reply.integer(static_cast<int64_t>(changed.added) + changed.removed);
  });
}

void sadd(RespCall& call) { change_set(call, ChangeKind::add); }
void srem(RespCall& call) { change_set(call, ChangeKind::remove); }

void smembers(RespCall& call) {
  read_set(call, [](RespReply& reply, const Members& set) {
    reply.set(set.size());
    for (const std::string& element : set) reply.bulk(element);
  });
}

void scard(RespCall& call) {
  read_set(call,
           [](RespReply& reply, const Members& set) { reply.integer(static_cast<int64_t>(set.size())); });
}

void sismember(RespCall& call) {
  std::string element = std::move(call.words[2]);
  read_set(call, [element](RespReply& reply, const Members& set) { reply.integer(contains(set, element)); });
}

void smismember(RespCall& call) {
  read_set(call, [elements = words_from(call, 2)](RespReply& reply, const Members& set) {
    reply.array(elements.size());
    for (const std::string& element : elements) reply.integer(contains(set, element));
  });
}

void sscan(RespCall& call) {
  ElementScan scan;
  if (!scan.parse(call)) return;
  read_set(call, [scan](RespReply& reply, const Members& set) {
    if (!scan.wrong.empty() && !set.empty()) return reply.error(scan.wrong);
    Members shown;
    for (const std::string& element : set) {
      if (matches_glob(scan.pattern, element)) shown.push_back(element);
    }
    reply.array(2);
    reply.bulk("0");
    reply.array(shown.size());
    for (const std::string& element : shown) reply.bulk(element);
  });
}

constexpr RespCommand set_commands[] = {
    write_key("sadd", -3, sadd,
              {"1.0.0", "O(N) in the set's elements", "key member...", "Adds elements to a set."}),
    write_key("srem", -3, srem,
              {"1.0.0", "O(N) in the set's elements", "key member...", "Removes elements from a set."}),
    read_key("smembers", 2, smembers,
             {"1.0.0", "O(N) in the set's elements", "key", "All elements of a set."}),
    read_key("scard", 2, scard,
             {"1.0.0", "O(N) in the set's elements", "key", "How many elements a set has."}),
    read_key("sismember", 3, sismember,
             {"1.0.0", "O(N) in the set's elements", "key member", "Whether a set has an element."}),
    read_key(
        "smismember", -3, smismember,
        {"6.2.0", "O(N) in the set's elements", "key member...", "Whether a set has each of some elements."}),
    read_key("sscan", -3, sscan,
             {"2.8.0", "O(N) in the set's elements", "key cursor [MATCH pattern] [COUNT count]",
              "The elements of a set that match, all at once."}),
};

}  // namespace

std::span<const RespCommand> resp_set_commands() { return set_commands; }

}  // namespace covey::server
