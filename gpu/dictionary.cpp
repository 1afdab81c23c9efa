#include "gpu/dictionary.h"

#include "gpu/mix.h"
#include "gpu/result.h"

namespace covey::agg {

uint32_t Dictionary::acquire(std::string_view text) {
  if (const auto found = codes_.find(text); found != codes_.end()) {
    ++entries_[found->second].holders;
    return found->second;
  }
  if (codes_.size() >= entries_max_) return kNone;
  uint32_t code;
  if (free_.empty()) {
    code = static_cast<uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    code = free_.back();
    free_.pop_back();
  }
  const auto entered = codes_.emplace(text, code).first;
  entries_[code] = {&entered->first, hash_text(text), 1};
  text_bytes_ += text.size();
  return code;
}

void Dictionary::release(uint32_t code) {
  COVEY_AGG_ASSERT(holds(code));
  Entry& entry = entries_[code];
  if (--entry.holders > 0) return;
  text_bytes_ -= entry.text->size();
  codes_.erase(codes_.find(*entry.text));
  entry.text = nullptr;
  free_.push_back(code);
}

void Dictionary::trim() {
  if (!codes_.empty()) return;
  entries_ = std::vector<Entry>();
  free_ = std::vector<uint32_t>();
  codes_ = decltype(codes_)();
}

uint32_t Dictionary::find(std::string_view text) const {
  const auto found = codes_.find(text);
  return found == codes_.end() ? kNone : found->second;
}

}  // namespace covey::agg
