// Repair: a session that goes on behind an earlier one. The keys of the first are as its snapshot had them,
// of clock C; those of the second as the later one has them, of clock D, which has all of C. To take over C
// alone would be wrong: it may know a version of a late key that an update in D has removed, and the copy
// would know the version, not have it, and not know of what removed it. So the sender looks the dots up in
// its log that D has beyond C: those of late keys are taken over too. Where the log no longer has them all,
// the transfer begins anew.
#include "replication/bugs.h"
#include "replication/codec.h"
#include "replication/repair.h"

namespace covey {

void Repair::ask_to_resume(const Partition& partition, const Pull& pull, peer::RepairOpen& message) const {
  message.set_earlier(encode(*pull.earlier));
  message.set_known(encode(partition.clock));
}

// False: it was refused.
bool Repair::serve_resumed(const Partition& partition, const peer::RepairOpen& message, Serve& serve) {
  if (bug(Bug::resumed_clock_of_the_last)) {
    serve.since = partition.clock;
    return true;
  }
  const auto earlier = decode_dot_set(message.earlier());
  const auto known = decode_dot_set(message.known());
  DotSet unlogged;
  bool sound = earlier && known && partition.clock.contains(*earlier);
  if (sound) {
    DotSet newer = partition.clock;
    newer.subtract(*earlier);
    newer.subtract(*known);
    sound = newer.count() <= settled_dots_max;
    serve.since.emplace();
    const auto take = [&](Dot dot, const TableKey& key) {
      if (object_key(partition.id, key.table, key.key) > message.from()) serve.since->add(dot);
      return true;
    };
    if (sound) {
      const auto walked = shard_.replica.walk_log(partition, newer, take, &unlogged);
      if (!walked) shard_.store_failed(walked.error());
      sound = walked.ok();
    }
  }
  if (sound && unlogged.empty()) return true;
  refuse(serve.peer, serve.partition, serve.session, Refusal::no_longer_known);
  return false;
}

// The first chunk of such a session. False: it can't go on.
bool Repair::resume(const peer::RepairChunk& message, const Clock& clock, Pull& pull) {
  const auto since = decode_dot_set(message.since());
  if (!message.has_since() || !since || !clock.contains(*pull.earlier)) return false;
  pull.earlier->join(*since);
  if (!pull.filling) return true;
  pull.filling->beyond.join(*since);
  pull.filling->later.emplace_back(pull.from, clock);
  return true;
}

}  // namespace covey
