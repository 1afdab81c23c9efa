// A disk's files as RocksDB and our own storage code see them, and what of them is left after a crash.
//
// A file's bytes are safe once the file was synced, its name once its directory was. A crash of the machine
// takes the rest, or some of it: of each file a tail of any length that may also be there as zeros, of the
// overwritten places the newer ones or any one of them, of the names that were made, changed or deleted all
// or none.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/random.h"

namespace covey::sim {

enum class Loss : uint8_t { nothing, some, all };  // of what was not synced; nothing: only the process died

// Thread-safe; what it does depends only on the order of the calls.
class SimulatedFiles {
 public:
  enum class Answer : uint8_t { done, missing, no_space, failed };
  struct File {
    std::string bytes;
    uint64_t synced_bytes = 0;  // so many from the front have once been synced...
    struct Overwrite {
      uint64_t at;
      std::string before;
    };
    std::vector<Overwrite> overwrites;  // ... but for these, which were written over since
  };
  using FilePointer = std::shared_ptr<File>;

  FilePointer find(const std::string& path);
  FilePointer create(const std::string& path);  // empties one that is there
  Answer remove(const std::string& path);
  Answer rename(const std::string& from, const std::string& to);
  std::vector<std::string> names_in(const std::string& directory);

  // REQUIRES: `file` is one of this disk's.
  // at: the end of what its writer appended so far; the file may have bytes from there on.
  Answer append(File& file, uint64_t at, std::string_view bytes, bool is_log);
  Answer overwrite(File& file, uint64_t at, std::string_view bytes);
  Answer sync(File& file);
  Answer sync_names();
  std::string read(const File& file, uint64_t at, uint64_t bytes_max);
  uint64_t size(const File& file);
  void truncate(File& file, uint64_t size);

  // Faults.
  void set_full(bool full);
  bool is_full();
  void fail_next_log_append(bool fails);
  // So many more syncs of files or names succeed, then one fails; nullopt: none does.
  void fail_sync_after(std::optional<uint64_t> syncs);
  // From so many changes on every change fails, as if the process had died there; nullopt: none does.
  void stop_after(std::optional<uint64_t> changes);
  struct Flip {
    FilePointer file;
    uint64_t at = 0;
    char mask = 0;
  };
  // Flips a bit of a file with `part` in its name, if there is one, where `before`, the same disk at an
  // earlier moment (or this one), had synced it.
  std::optional<Flip> flip_bit(const std::string& part, SimulatedFiles& before, Random& random);
  void flip_back(const Flip& flip);

  // The disk after a crash; this one stays as it is. No faults but for a full disk.
  std::shared_ptr<SimulatedFiles> after_crash(Loss loss, Random& random);

 private:
  Answer change();
  static void replace(File& file, uint64_t at, std::string_view bytes);
  Answer sync_fails();
  static FilePointer left_of(const File& file, Loss loss, Random& random);

  std::mutex mutex_;  // protects all below
  std::map<std::string, FilePointer> names_;
  std::map<std::string, FilePointer> synced_names_;
  bool full_ = false;
  bool next_log_append_fails_ = false;
  std::optional<uint64_t> syncs_left_;
  std::optional<uint64_t> changes_left_;
};

}  // namespace covey::sim
