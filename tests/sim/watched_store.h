// A store that tells what went into it, so that the simulator checks what each step changed. Its user may be
// told that some of it is damaged, which the simulator's own checks of the store below are not.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "replication/codec.h"
#include "replication/store.h"
#include "tests/sim/random.h"

namespace covey::sim {

class WatchedStore final : public Store {
 public:
  // The bytes of one object before and after a batch.
  struct ObjectChange {
    std::string key;  // in the column
    std::optional<std::string> before;
    std::optional<std::string> after;
  };
  // What one batch did to one partition.
  struct Change {
    Lsn lsn;
    uint32_t partition = 0;
    std::string record;  // of the partition, as it now is
    std::vector<ObjectChange> objects;
    std::vector<std::pair<std::string, std::string>> logged;  // dot keys and values
    std::vector<std::string> unlogged;                        // dot keys that were there before
  };

  explicit WatchedStore(Store& inner) : inner_(inner) {}

  Result<std::optional<std::string>, StoreError> get(Column column, std::string_view key) override;
  Result<Lsn, StoreError> write(const StoreBatch& batch) override;
  std::unique_ptr<StoreLoad> load() override;
  Result<Lsn, StoreError> write(const StoreBatch& batch, std::unique_ptr<StoreLoad> load) override;
  Lsn durable() const override { return inner_.durable(); }
  std::unique_ptr<StoreCursor> cursor(Column column, std::string_view lower, std::string_view upper,
                                      const StoreSnapshot* snapshot = nullptr) override;
  std::unique_ptr<StoreSnapshot> snapshot() override { return inner_.snapshot(); }

  bool has_changes() const { return !changes_.empty(); }
  std::vector<Change> take_changes() { return std::exchange(changes_, {}); }

  // A block of a table goes bad: up to three rows of a column, one after the other, can't be read until they
  // are written again, and no cursor passes them. False: nothing is stored. mend() ends it.
  bool damage(Random& random);
  void mend() {
    damaged_.clear();
    has_met_damage_ = false;
  }
  bool has_met_damage() const { return has_met_damage_; }

 private:
  class Cursor;
  class Load;
  // `batch`: all that `write` gives to the inner store.
  Result<Lsn, StoreError> watch(const StoreBatch& batch,
                                const std::function<Result<Lsn, StoreError>()>& write);
  bool is_damaged(Column column, std::string_view key);

  Store& inner_;
  std::vector<Change> changes_;
  std::set<std::pair<Column, std::string>> damaged_;
  bool has_met_damage_ = false;
  size_t loads_ = 0;
};

}  // namespace covey::sim
