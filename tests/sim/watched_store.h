// A store that tells what went into it, so that the simulator checks what each step changed.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "replication/codec.h"
#include "replication/store.h"

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
  };

  explicit WatchedStore(Store& inner) : inner_(inner) {}

  Result<std::optional<std::string>, StoreError> get(Column column, std::string_view key) override {
    return inner_.get(column, key);
  }
  Result<Lsn, StoreError> write(const StoreBatch& batch) override;
  Lsn durable() const override { return inner_.durable(); }
  std::unique_ptr<StoreCursor> cursor(Column column, std::string_view lower, std::string_view upper,
                                      const StoreSnapshot* snapshot = nullptr) override {
    return inner_.cursor(column, lower, upper, snapshot);
  }
  std::unique_ptr<StoreSnapshot> snapshot() override { return inner_.snapshot(); }

  std::vector<Change> take_changes() { return std::exchange(changes_, {}); }

 private:
  Store& inner_;
  std::vector<Change> changes_;
};

}  // namespace covey::sim
