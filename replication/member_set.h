// The members as this node has stored them, and how they are told on: with every hello, and again to a peer
// whose digest shows that it places partitions differently. A map in which each node speaks for itself of its
// addresses, zone and weight, and the latest decision about its standing and place holds. Those removed stay
// as a mark, so that an old word does not bring them back.
#pragma once

#include <string_view>

#include "replication/shard.h"

namespace covey {

class MemberSet {
 public:
  static constexpr std::string_view key_prefix = "member/";  // of their records in the column node

  explicit MemberSet(Shard& shard) : shard_(shard) {}

  [[nodiscard]] Result<Done, StoreError> load();
  // `fresh`: the data directory is new. Who comes with one under the name of a node that was removed is a new
  // member, unless the others have known it as a member since.
  void start(bool fresh) { is_new_ = fresh; }
  // As told by anyone, or `of_itself`. True: it was news and is stored. What can't be stored counts as not
  // heard.
  bool add(Now now, const Member& told, bool of_itself);
  [[nodiscard]] Result<Member, StoreError> decide(Now now, const Member& member);

  static void write(const Member& member, peer::Member& told);
  static Member read(const peer::Member& told);

 private:
  [[nodiscard]] Result<bool, StoreError> adopt(const Member& told, bool of_itself);

  Shard& shard_;
  bool is_new_ = false;
};

}  // namespace covey
