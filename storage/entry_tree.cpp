#include "storage/entry_tree.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <tuple>

#include "replication/result.h"

namespace covey {

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr size_t tag_bytes = 8;
constexpr size_t mark_bytes = 8;
// Marks are worked out anew when nodes would share so many bytes more.
constexpr size_t worth_sharing = 4;

// The eight bytes behind the first `skip`, as a number in their order; zeros behind the end.
uint64_t mark_of(std::string_view user, size_t skip) {
  uint64_t mark = 0;
  if (user.size() > skip) std::memcpy(&mark, user.data() + skip, std::min(mark_bytes, user.size() - skip));
  return __builtin_bswap64(mark);
}

bool less(const EntryKey& a, const EntryKey& b) {
  const int order = a.user.compare(b.user);
  return order != 0 ? order < 0 : a.tag > b.tag;
}

size_t common_bytes(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

// The first that is not less, without a branch for each step.
size_t first_at_least(const uint64_t* marks, size_t from, size_t to, uint64_t mark) {
  const uint64_t* base = marks + from;
  size_t left = to - from;
  if (left == 0) return to;
  while (left > 1) {
    const size_t half = left / 2;
    base += static_cast<size_t>(base[half - 1] < mark) * half;
    left -= half;
  }
  return static_cast<size_t>(base - marks) + static_cast<size_t>(*base < mark);
}

}  // namespace

EntryKey key_of_entry(const char* entry) {
  uint32_t bytes = 0;
  const auto* at = reinterpret_cast<const uint8_t*>(entry);
  for (uint32_t shift = 0;; shift += 7) {
    bytes |= (*at & 0x7fu) << shift;
    if ((*at++ & 0x80) == 0) break;
  }
  return key_of_internal({reinterpret_cast<const char*>(at), bytes});
}

EntryKey key_of_internal(std::string_view internal_key) {
  COVEY_ASSERT(internal_key.size() >= tag_bytes);
  EntryKey key{internal_key.substr(0, internal_key.size() - tag_bytes)};
  std::memcpy(&key.tag, internal_key.data() + key.user.size(), tag_bytes);
  return key;
}

// Of an inner node the first child has no key: it takes what is below the second.
struct EntryTree::Node {
  static constexpr size_t prefix_max = 56;
  static constexpr uint16_t uneven = 0xffff;

  uint16_t count = 0;
  uint16_t level;       // 0: a leaf
  uint16_t shared = 0;  // bytes that the users' keys of all its keys begin with, as far as `prefix` has room
  uint16_t user_bytes = 0;  // that each of these users' keys has; uneven: they differ in it, or are too long
  char prefix[prefix_max];
  uint64_t marks[node_entries];  // of each key, behind what they share
  const char* keys[node_entries];

  explicit Node(uint16_t level_) : level(level_) {}
  size_t begin() const { return level > 0 ? 1 : 0; }

  // A mark and what is shared are all of a user's key that is as long as this one.
  bool marks_tell(std::string_view user) const {
    return user.size() == user_bytes && user.size() <= shared + mark_bytes;
  }

  // The first key that is not below the given one. is_newest: none of an equal user's key is.
  size_t find(const EntryKey& key, bool is_newest) const {
    const size_t common = std::min<size_t>(shared, key.user.size());
    int order = std::memcmp(key.user.data(), prefix, common);
    if (order == 0 && common < shared) order = -1;
    if (order != 0) return order < 0 ? begin() : count;
    const uint64_t mark = mark_of(key.user, shared);
    const size_t low = first_at_least(marks, begin(), count, mark);
    if (low == count || marks[low] != mark) return low;
    // What is inserted is newer than its equals and goes before them. They are likely not to be in the
    // processor's cache.
    if (is_newest && marks_tell(key.user)) return low;
    if (!less(key_of_entry(keys[low]), key)) return low;
    const auto* high = keys + (std::upper_bound(marks + low, marks + count, mark) - marks);
    const auto below = [&](const char* entry) { return less(key_of_entry(entry), key); };
    if (below(high[-1])) return static_cast<size_t>(high - keys);
    return static_cast<size_t>(std::partition_point(keys + low + 1, high - 1, below) - keys);
  }

  // All that a search in it reads, at once instead of one after the other.
  void fetch() const {
    for (size_t i = 0; i < node_entries; i += 64 / sizeof(uint64_t)) __builtin_prefetch(marks + i);
    __builtin_prefetch(this);
  }

  // Where it is best cut in two: about the middle, where what the keys on both sides share is the least, so
  // that each part's keys share more. ("Interval" of splits: Bayer, Unterauer, "Prefix B-Trees", 1977.)
  size_t cut() const {
    size_t best = node_entries / 2;
    int shares = 65;
    for (size_t step = 0; step < node_entries / 4; ++step) {
      for (const size_t at : {node_entries / 2 + step, node_entries / 2 - step}) {
        const int bytes = std::countl_zero(marks[at - 1] ^ marks[at]) / 8;
        if (bytes < shares) std::tie(best, shares) = std::pair(at, bytes);
      }
    }
    return best;
  }

  // Looks at the entry only if its mark is the same: it is likely not to be in the processor's cache.
  bool holds(size_t at, const EntryKey& key) const {
    return at < count && marks[at] == mark_of(key.user, shared) && key_of_entry(keys[at]) == key;
  }

  // Makes sure that the key begins with what all share.
  void share(std::string_view user) {
    const auto bytes = static_cast<uint16_t>(std::min<size_t>(user.size(), uneven));
    if (count > begin() && bytes != user_bytes) user_bytes = uneven;
    if (count == begin()) {
      user_bytes = bytes;
      shared = static_cast<uint16_t>(std::min(prefix_max, user.size()));
      std::memcpy(prefix, user.data(), shared);
      return;
    }
    const std::string_view was(prefix, shared);
    const size_t same = common_bytes(was, user);
    if (same == shared) return;
    const size_t moved = shared - same;
    const uint64_t front = mark_of(was, same);
    for (size_t i = begin(); i < count; ++i)
      marks[i] = front | (moved < mark_bytes ? marks[i] >> (8 * moved) : 0);
    shared = static_cast<uint16_t>(same);
  }

  // After a split the keys may share more.
  void tighten() {
    if (count < begin() + 2 || (marks[begin()] ^ marks[count - 1]) >> (64 - 8 * worth_sharing) != 0) return;
    const std::string_view low = key_of_entry(keys[begin()]).user;
    const size_t same = std::min(prefix_max, common_bytes(low, key_of_entry(keys[count - 1]).user));
    if (same < shared + worth_sharing) return;
    shared = static_cast<uint16_t>(same);
    std::memcpy(prefix, low.data(), same);
    for (size_t i = begin(); i < count; ++i) marks[i] = mark_of(key_of_entry(keys[i]).user, same);
  }

  void put(size_t at, const char* entry, const EntryKey& key) {
    share(key.user);
    std::copy_backward(marks + at, marks + count, marks + count + 1);
    std::copy_backward(keys + at, keys + count, keys + count + 1);
    marks[at] = mark_of(key.user, shared);
    keys[at] = entry;
    ++count;
  }

  // Those from `cut` on go to `right`, which is empty.
  void move_to(Node& right, size_t cut) {
    std::copy(marks + cut, marks + count, right.marks);
    std::copy(keys + cut, keys + count, right.keys);
    std::copy(prefix, prefix + shared, right.prefix);
    right.shared = shared;
    right.user_bytes = user_bytes;
    right.count = static_cast<uint16_t>(count - cut);
    count = static_cast<uint16_t>(cut);
  }
};

struct EntryTree::Leaf : Node {
  using Node::Node;
  Leaf* previous = nullptr;
  Leaf* next = nullptr;
};

struct EntryTree::Inner : Node {
  using Node::Node;
  Node* children[node_entries];

  void put_child(size_t at, const char* separator, Node* child) {
    std::copy_backward(children + at, children + count, children + count + 1);
    children[at] = child;
    if (at == 0) {
      keys[0] = separator;
      marks[0] = 0;
      count = 1;
      return;
    }
    put(at, separator, key_of_entry(separator));
  }
};

template <class T>
T* EntryTree::make(uint16_t level) {
  return new (allocate_(sizeof(T))) T(level);
}

bool EntryTree::insert(const char* entry) {
  const EntryKey key = key_of_entry(entry);
  const bool is_newest = key.tag > newest_;
  newest_ = std::max(newest_, key.tag);
  if (root_ == nullptr) root_ = head_ = tail_ = make<Leaf>(0);
  std::array<Step, levels_max> path;
  size_t steps = 0;
  Node* node = root_;
  while (node->level > 0) {
    auto* inner = static_cast<Inner*>(node);
    const size_t child = inner->find(key, is_newest) - 1;
    path[steps++] = {inner, child};
    node = inner->children[child];
    node->fetch();
  }
  auto& leaf = *static_cast<Leaf*>(node);
  const size_t at = leaf.find(key, is_newest);
  if (!is_newest && leaf.holds(at, key)) return false;
  if (!is_newest && at == leaf.count && leaf.next != nullptr && leaf.next->holds(0, key)) return false;
  if (leaf.count < node_entries) {
    leaf.put(at, entry, key);
  } else {
    Leaf* right = split(leaf, at, entry, key);
    add_child(path.data(), steps, right->keys[0], right);
  }
  return true;
}

// At an end what comes next is likely to go there, too: so what is there stays together.
EntryTree::Leaf* EntryTree::split(Leaf& leaf, size_t at, const char* entry, const EntryKey& key) {
  Leaf* right = make<Leaf>(0);
  const size_t cut = at == 0 || at == node_entries ? at : leaf.cut();
  leaf.move_to(*right, cut);
  right->previous = &leaf;
  right->next = std::exchange(leaf.next, right);
  (right->next != nullptr ? right->next->previous : tail_) = right;
  const bool goes_right = at > cut || at == node_entries;
  goes_right ? right->put(at - cut, entry, key) : leaf.put(at, entry, key);
  leaf.tighten();
  right->tighten();
  return right;
}

// Beside the child at each step's place, as far up as nodes are full.
void EntryTree::add_child(Step* path, size_t steps, const char* separator, Node* child) {
  while (steps > 0) {
    Inner& node = *path[--steps].node;
    const size_t at = path[steps].child + 1;
    if (node.count < node_entries) return node.put_child(at, separator, child);
    auto* right = make<Inner>(node.level);
    if (at == node_entries) {
      right->put_child(0, separator, child);
    } else {
      const size_t cut = node.cut();
      std::copy(node.children + cut, node.children + node_entries, right->children);
      node.move_to(*right, cut);
      at > cut ? right->put_child(at - cut, separator, child) : node.put_child(at, separator, child);
      node.tighten();
      right->tighten();
      separator = right->keys[0];
    }
    child = right;
  }
  COVEY_ASSERT(root_->level + 2u < levels_max);
  auto* root = make<Inner>(static_cast<uint16_t>(root_->level + 1));
  root->put_child(0, separator, root_);
  root->put_child(1, separator, child);
  root_ = root;
}

EntryTree::Place EntryTree::place_of(const EntryKey& key) const {
  if (root_ == nullptr) return {nullptr, 0};
  const bool is_newest = key.tag >= newest_;
  const Node* node = root_;
  while (node->level > 0) {
    node = static_cast<const Inner*>(node)->children[node->find(key, is_newest) - 1];
    node->fetch();
  }
  const auto* leaf = static_cast<const Leaf*>(node);
  const size_t at = leaf->find(key, is_newest);
  if (at < leaf->count) return {leaf, at};
  return {leaf->next, 0};
}

// The one before; of none that is behind the last.
EntryTree::Place EntryTree::back(Place place) const {
  if (place.leaf != nullptr && place.at > 0) return {place.leaf, place.at - 1};
  const Leaf* leaf = place.leaf == nullptr ? tail_ : place.leaf->previous;
  if (leaf == nullptr) return {nullptr, 0};
  return {leaf, leaf->count - size_t{1}};
}

void EntryTree::copy(Place place, Window& window) {
  window.size = window.at = 0;
  if (place.leaf == nullptr) return;
  window.size = place.leaf->count;
  window.at = place.at;
  std::copy(place.leaf->keys, place.leaf->keys + window.size, window.entries.begin());
}

void EntryTree::above(const EntryKey& key, Window& window) const {
  Place place = place_of(key);
  if (place.leaf != nullptr && key_of_entry(place.leaf->keys[place.at]) == key) {
    ++place.at;
    if (place.at == place.leaf->count) place = {place.leaf->next, 0};
  }
  copy(place, window);
}

void EntryTree::at_most(const EntryKey& key, Window& window) const {
  const Place place = place_of(key);
  const bool there = place.leaf != nullptr && key_of_entry(place.leaf->keys[place.at]) == key;
  copy(there ? place : back(place), window);
}

}  // namespace covey
