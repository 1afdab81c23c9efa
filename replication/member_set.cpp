#include "replication/member_set.h"

#include <bit>

#include "replication/codec.h"
#include "replication/peer_messages.h"

namespace covey {
namespace {

constexpr uint8_t member_format = 1;
constexpr size_t members_max = 10'000;  // removed ones counted
constexpr size_t text_bytes_max = 1'024;

std::string encode_member(const Member& member) {
  std::string bytes;
  Writer out(bytes);
  out.u8(member_format);
  out.bytes(member.peer_address);
  out.bytes(member.http_address);
  out.bytes(member.zone);
  out.u64(std::bit_cast<uint64_t>(member.weight));
  out.u8(static_cast<uint8_t>(member.standing));
  out.u64(member.decided.value);
  out.bytes(member.place);
  return bytes;
}

bool is_weight(double weight) { return weight > 0 && weight < 1e18; }

std::optional<Member> decode_member(std::string_view name, std::string_view bytes) {
  Reader in(bytes);
  const uint8_t format = in.u8();
  Member member;
  member.node.name = name;
  member.peer_address = in.bytes();
  member.http_address = in.bytes();
  member.zone = in.bytes();
  member.weight = std::bit_cast<double>(in.u64());
  const uint8_t standing = in.u8();
  member.decided.value = in.u64();
  member.place = in.bytes();
  const bool sound = format == member_format && in.done() && is_weight(member.weight) &&
                     standing <= static_cast<uint8_t>(Standing::removed);
  if (!sound) return std::nullopt;
  member.standing = static_cast<Standing>(standing);
  return member;
}

}  // namespace

void MemberSet::write(const Member& member, peer::Member& told) {
  told.set_node(member.node.name);
  told.set_peer_address(member.peer_address);
  told.set_http_address(member.http_address);
  told.set_zone(member.zone);
  told.set_weight(member.weight);
  told.set_standing(static_cast<uint32_t>(member.standing));
  told.set_decided(member.decided.value);
  told.set_place(member.place);
}

Member MemberSet::read(const peer::Member& told) {
  Member member{NodeId{told.node()}, told.peer_address(), told.http_address(), told.zone()};
  if (is_weight(told.weight())) member.weight = told.weight();
  if (told.standing() <= static_cast<uint32_t>(Standing::removed))
    member.standing = static_cast<Standing>(told.standing());
  member.decided = Hlc{told.decided()};
  member.place = told.place();
  return member;
}

Result<Done, StoreError> MemberSet::load() {
  auto cursor = shard_.store.cursor(Column::node, key_prefix, after_prefix(std::string(key_prefix)));
  for (; cursor->valid(); cursor->next()) {
    const std::string name(cursor->key().substr(key_prefix.size()));
    auto member = decode_member(name, cursor->value());
    if (!member)
      return StoreError{StoreError::Kind::corruption, "what is stored of member " + name + " is unreadable"};
    shard_.members.add(*member, false);
  }
  if (auto error = cursor->error()) return *error;
  return Done{};
}

Result<bool, StoreError> MemberSet::adopt(const Member& told, bool of_itself) {
  Members& members = shard_.members;
  const Member* known = members.find(told.node);
  if (known == nullptr && members.all().size() + members.removed().size() >= members_max) return false;
  auto next = members.merged(told, of_itself);
  if (!next) return false;
  StoreBatch batch;
  batch.put(Column::node, std::string(key_prefix) + told.node.name, encode_member(*next));
  auto written = shard_.store.write(batch);
  if (!written) return written.error();
  members.set(*next);
  if (!members.all().contains(next->node)) shard_.clocks.forget(next->node);
  // What a copy that is being filled had from the others counts once they know that it is.
  for (auto& [id, partition] : shard_.replica.partitions()) partition.forget_told();
  shard_.outbox.members_changed();
  return true;
}

bool MemberSet::add(Now now, const Member& told, bool of_itself) {
  const bool sound = !told.node.name.empty() && told.node.name.size() <= text_bytes_max &&
                     told.peer_address.size() <= text_bytes_max &&
                     told.http_address.size() <= text_bytes_max && told.zone.size() <= text_bytes_max &&
                     told.place.size() <= text_bytes_max;
  if (!sound) {
    ++shard_.stats.malformed_messages_dropped;
    return false;
  }
  shard_.heard_time(now, told.decided);
  Member news = told;
  if (shard_.members.is_self(told.node) && told.standing != Standing::removed) is_new_ = false;
  if (shard_.members.is_self(told.node) && is_new_ && shard_.members.own().standing == Standing::member) {
    news.standing = Standing::member;
    news.decided = Hlc{told.decided.value + 1};
    news.place.clear();
  }
  auto adopted = adopt(news, of_itself);
  if (!adopted) shard_.store_failed(adopted.error());
  // Nobody but the node itself is believed about its address: of two the later one can't be told.
  const Member* known = shard_.members.find(told.node);
  const bool is_elsewhere =
      known != nullptr && known->standing != Standing::removed && known->peer_address != told.peer_address;
  if (is_elsewhere && !shard_.members.is_self(told.node) && !shard_.members.linked(told.node))
    shard_.outbox.worth_dialing(told.peer_address);
  return adopted && *adopted;
}

Result<Member, StoreError> MemberSet::decide(Now now, const Member& member) {
  const Member* known = shard_.members.find(member.node);
  COVEY_ASSERT(known != nullptr);
  Member decided = *known;
  decided.standing = member.standing;
  decided.place = member.place;
  decided.decided = member.decided == Hlc{} ? shard_.next_time(now, known->decided) : member.decided;
  auto adopted = adopt(decided, false);
  if (!adopted) return adopted.error();
  return *shard_.members.find(member.node);
}

}  // namespace covey
