#include "tests/sim/simulated_files.h"

#include <algorithm>

namespace covey::sim {

// REQUIRES: mutex_ is held.
SimulatedFiles::Answer SimulatedFiles::change() {
  if (!changes_left_) return Answer::done;
  if (*changes_left_ == 0) return Answer::failed;
  --*changes_left_;
  return Answer::done;
}

// REQUIRES: mutex_ is held.
SimulatedFiles::Answer SimulatedFiles::sync_fails() {
  if (!syncs_left_) return Answer::done;
  if (*syncs_left_ > 0) {
    --*syncs_left_;
    return Answer::done;
  }
  syncs_left_.reset();
  return Answer::failed;
}

SimulatedFiles::FilePointer SimulatedFiles::find(const std::string& path) {
  std::lock_guard lock(mutex_);
  auto found = names_.find(path);
  return found == names_.end() ? nullptr : found->second;
}

SimulatedFiles::FilePointer SimulatedFiles::create(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (change() != Answer::done) return nullptr;
  return names_[path] = std::make_shared<File>();
}

SimulatedFiles::Answer SimulatedFiles::remove(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (!names_.contains(path)) return Answer::missing;
  if (auto answer = change(); answer != Answer::done) return answer;
  names_.erase(path);
  return Answer::done;
}

SimulatedFiles::Answer SimulatedFiles::rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  auto found = names_.find(from);
  if (found == names_.end()) return Answer::missing;
  if (auto answer = change(); answer != Answer::done) return answer;
  names_[to] = found->second;
  names_.erase(from);
  return Answer::done;
}

std::vector<std::string> SimulatedFiles::names_in(const std::string& directory) {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [path, file] : names_) {
    if (path.starts_with(directory + "/")) names.push_back(path.substr(directory.size() + 1));
  }
  return names;
}

// REQUIRES: mutex_ is held.
void SimulatedFiles::replace(File& file, uint64_t at, std::string_view bytes) {
  if (at + bytes.size() > file.bytes.size()) file.bytes.resize(at + bytes.size());
  if (at < file.synced_bytes && !bytes.empty()) {
    const uint64_t old_bytes = std::min<uint64_t>(bytes.size(), file.synced_bytes - at);
    file.overwrites.push_back({at, file.bytes.substr(at, old_bytes)});
  }
  file.bytes.replace(at, bytes.size(), bytes);
}

SimulatedFiles::Answer SimulatedFiles::append(File& file, uint64_t at, std::string_view bytes, bool is_log) {
  std::lock_guard lock(mutex_);
  if (auto answer = change(); answer != Answer::done) return answer;
  const bool fails = is_log && next_log_append_fails_;
  const bool fits = at + bytes.size() <= file.bytes.size();
  if (!fails && (!full_ || fits)) {
    replace(file, at, bytes);
    return Answer::done;
  }
  replace(file, at, bytes.substr(0, bytes.size() / 2));  // as real disks do: some of it is written
  if (!fails) return Answer::no_space;
  next_log_append_fails_ = false;
  return Answer::failed;
}

SimulatedFiles::Answer SimulatedFiles::overwrite(File& file, uint64_t at, std::string_view bytes) {
  std::lock_guard lock(mutex_);
  if (auto answer = change(); answer != Answer::done) return answer;
  if (full_ && at + bytes.size() > file.bytes.size()) return Answer::no_space;
  replace(file, at, bytes);
  return Answer::done;
}

SimulatedFiles::Answer SimulatedFiles::sync(File& file) {
  std::lock_guard lock(mutex_);
  if (auto answer = change(); answer != Answer::done) return answer;
  if (auto answer = sync_fails(); answer != Answer::done) return answer;
  file.synced_bytes = file.bytes.size();
  file.overwrites.clear();
  return Answer::done;
}

SimulatedFiles::Answer SimulatedFiles::sync_names() {
  std::lock_guard lock(mutex_);
  if (auto answer = change(); answer != Answer::done) return answer;
  if (auto answer = sync_fails(); answer != Answer::done) return answer;
  synced_names_ = names_;
  return Answer::done;
}

std::string SimulatedFiles::read(const File& file, uint64_t at, uint64_t bytes_max) {
  std::lock_guard lock(mutex_);
  return at < file.bytes.size() ? file.bytes.substr(at, bytes_max) : "";
}

uint64_t SimulatedFiles::size(const File& file) {
  std::lock_guard lock(mutex_);
  return file.bytes.size();
}

void SimulatedFiles::truncate(File& file, uint64_t size) {
  std::lock_guard lock(mutex_);
  if (change() != Answer::done) return;
  file.bytes.resize(size);
  file.synced_bytes = std::min(file.synced_bytes, size);
}

void SimulatedFiles::set_full(bool full) {
  std::lock_guard lock(mutex_);
  full_ = full;
}

bool SimulatedFiles::is_full() {
  std::lock_guard lock(mutex_);
  return full_;
}

void SimulatedFiles::fail_next_log_append(bool fails) {
  std::lock_guard lock(mutex_);
  next_log_append_fails_ = fails;
}

void SimulatedFiles::fail_sync_after(std::optional<uint64_t> syncs) {
  std::lock_guard lock(mutex_);
  syncs_left_ = syncs;
}

void SimulatedFiles::stop_after(std::optional<uint64_t> changes) {
  std::lock_guard lock(mutex_);
  changes_left_ = changes;
}

std::optional<SimulatedFiles::Flip> SimulatedFiles::flip_bit(const std::string& part, SimulatedFiles& before,
                                                             Random& random) {
  std::unique_lock lock(mutex_);
  std::unique_lock<std::mutex> other;
  if (&before != this) other = std::unique_lock(before.mutex_);
  std::vector<std::string> candidates;
  for (const auto& [path, file] : before.names_) {
    const bool fits = path.find(part) != std::string::npos && file->synced_bytes > 0;
    if (fits && names_.contains(path)) candidates.push_back(path);
  }
  if (candidates.empty()) return std::nullopt;
  const std::string& path = random.pick(candidates);
  const uint64_t at = random.below(before.names_[path]->synced_bytes);
  const Flip flip{names_[path], at, static_cast<char>(1 << random.below(8))};
  flip.file->bytes[at] ^= flip.mask;
  return flip;
}

void SimulatedFiles::flip_back(const Flip& flip) {
  std::lock_guard lock(mutex_);
  flip.file->bytes[flip.at] ^= flip.mask;
}

SimulatedFiles::FilePointer SimulatedFiles::left_of(const File& file, Loss loss, Random& random) {
  auto left = std::make_shared<File>();
  left->bytes = file.bytes;
  if (loss == Loss::nothing) {  // what is not on the disk the system still has
    left->synced_bytes = file.synced_bytes;
    left->overwrites = file.overwrites;
  } else {
    const uint64_t newer = file.overwrites.size();
    const uint64_t kept = loss == Loss::some && newer > 0 ? random.between(0, newer) : 0;
    // The system writes in any order.
    const bool one_alone = loss == Loss::some && newer > kept && random.one_in(3);
    for (uint64_t i = one_alone ? kept + 1 : newer; i > kept; --i) {
      const auto& overwrite = file.overwrites[i - 1];
      // The oldest that is lost may have been written halfway.
      const uint64_t written =
          i == kept + 1 && loss == Loss::some ? random.below(overwrite.before.size()) : 0;
      left->bytes.replace(overwrite.at + written, overwrite.before.size() - written, overwrite.before,
                          written);
    }
    const uint64_t unsynced = file.bytes.size() - file.synced_bytes;
    const uint64_t tail = loss == Loss::some && unsynced > 0 ? random.between(0, unsynced) : 0;
    left->bytes.resize(file.synced_bytes + tail);
    if (tail < unsynced && loss == Loss::some && random.one_in(3)) left->bytes.resize(file.bytes.size());
    left->synced_bytes = left->bytes.size();
  }
  return left;
}

std::shared_ptr<SimulatedFiles> SimulatedFiles::after_crash(Loss loss, Random& random) {
  std::lock_guard lock(mutex_);
  auto left = std::make_shared<SimulatedFiles>();
  const bool keeps_names = loss == Loss::nothing || (loss == Loss::some && random.one_in(2));
  std::map<const File*, FilePointer> copies;  // a file may have several names
  const auto copy_of = [&](const FilePointer& file) {
    auto& copy = copies[file.get()];
    if (!copy) copy = left_of(*file, loss, random);
    return copy;
  };
  for (const auto& [path, file] : keeps_names ? names_ : synced_names_) left->names_[path] = copy_of(file);
  left->synced_names_ = left->names_;
  if (loss == Loss::nothing) {
    left->synced_names_.clear();
    for (const auto& [path, file] : synced_names_) left->synced_names_[path] = copy_of(file);
  }
  left->full_ = full_;
  return left;
}

}  // namespace covey::sim
