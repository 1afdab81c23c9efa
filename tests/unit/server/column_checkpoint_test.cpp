// What is kept of columns counts only as what it is: bytes of this part, and records that lead from its state
// to the one that the objects are in.
#include "server/column_checkpoint.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "server/column_changes.h"
#include "server/column_files.h"
#include "tests/unit/storage/temporary_directory.h"

namespace covey::server::column_checkpoint_test {
namespace {

TableDefinition definition(const std::string& type = "float64") {
  auto parsed = parse_table_definition(std::string_view(R"({"columns": [{"name": "x", "type": ")" + type +
                                                        R"("}, {"name": "site", "type": "string"}]})"));
  REQUIRE(parsed.ok());
  return std::move(*parsed);
}

using Keys = std::set<std::string>;

std::string batch(uint32_t partition, uint64_t before, uint64_t after, std::vector<TableKey> keys) {
  ChangeWriter writer;
  std::vector<const TableKey*> pointers;
  for (const TableKey& key : keys) pointers.push_back(&key);
  writer.add(PartitionId{partition}, before, after, pointers);
  return writer.take();
}

struct Part {
  std::shared_ptr<const ColumnTable> table = make_column_table("t", definition());
  agg::ColumnStore columns{table->schema()};
  KeyIndex keys;
  ExpiringRows expiring;

  Part() {
    agg::UpdateBatch updates;
    for (int i = 0; i < 1000; ++i) {
      const auto slot = keys.insert("a key of some length " + std::to_string(i));
      updates.put(*slot, i, std::vector<agg::Value>{i / 8.0, "site " + std::to_string(i % 7)});
    }
    for (int i = 0; i < 1000; i += 3) updates.erase(*keys.erase("a key of some length " + std::to_string(i)));
    expiring[1] = {{1, 5000, {0.125, "site 1"}}};
    REQUIRE(columns.apply(updates));
  }
  std::string bytes(uint32_t partition = 3) const {
    return checkpoint_of({*table, PartitionId{partition}, 8}, 77, columns, keys, expiring);
  }
};

std::string why_not(const std::string& bytes, const ColumnTable& table, uint32_t partition = 3,
                    uint32_t partitions = 8) {
  auto restored = restore_part(bytes, {table, PartitionId{partition}, partitions}, {});
  return restored ? "" : restored.error().message;
}

}  // namespace

TEST_CASE("a part comes back from its checkpoint as it was", "[columns]") {
  const Part part;
  auto restored = restore_part(part.bytes(), {*part.table, PartitionId{3}, 8}, {});
  REQUIRE(restored);
  REQUIRE(restored->state == 77);
  REQUIRE(restored->columns.rows() == part.columns.rows());
  REQUIRE(restored->keys.size() == part.keys.size());
  part.keys.with_prefix("", [&](agg::Slot slot) {
    REQUIRE(restored->keys.find(part.keys.key(slot)) == slot);
    REQUIRE(restored->columns.value(slot, 0) == part.columns.value(slot, 0));
    REQUIRE(restored->columns.value(slot, 1) == part.columns.value(slot, 1));
    REQUIRE(restored->columns.time(slot) == part.columns.time(slot));
  });
  REQUIRE(restored->expiring.at(1).at(0).expires_ms == 5000);
  REQUIRE(restored->expiring.at(1).at(0).values == part.expiring.at(1).at(0).values);
  // New keys take the free slots.
  REQUIRE(restored->keys.insert("new") == agg::Slot{0});
}

TEST_CASE("a checkpoint of another table, definition or partition, or a damaged one, is refused",
          "[columns]") {
  const Part part;
  const std::string bytes = part.bytes();
  REQUIRE(why_not(bytes, *part.table).empty());
  REQUIRE_FALSE(why_not(bytes, *part.table, 4).empty());
  REQUIRE_FALSE(why_not(bytes, *part.table, 3, 16).empty());
  REQUIRE_FALSE(why_not(bytes, *make_column_table("other", definition())).empty());
  REQUIRE_FALSE(why_not(bytes, *make_column_table("t", definition("int64"))).empty());
  for (size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 300) {
    INFO("byte " << at);
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 4);
    REQUIRE_FALSE(why_not(flipped, *part.table).empty());
    REQUIRE_FALSE(why_not(bytes.substr(0, at), *part.table).empty());
  }
  REQUIRE_FALSE(why_not(bytes + "x", *part.table).empty());
}

TEST_CASE("what changed between two states is known only if records lead from one to the other",
          "[columns]") {
  const std::string first = batch(1, 10, 20, {{"t", "a"}, {"u", "b"}});
  const std::string refused = batch(1, 20, 25, {{"t", "refused"}});
  const std::string second = batch(1, 20, 30, {{"t", "c"}});
  const std::string elsewhere = batch(2, 30, 40, {{"t", "d"}});
  ColumnChanges changes;
  REQUIRE(changes.read(first + refused + second + elsewhere));
  REQUIRE(changes.between(PartitionId{1}, "t", 10, 30) == Keys{"a", "c", "refused"});
  REQUIRE(changes.between(PartitionId{1}, "u", 10, 30) == Keys{"b"});
  REQUIRE(changes.between(PartitionId{1}, "t", 30, 30) == Keys{});
  REQUIRE(changes.between(PartitionId{1}, "t", 20, 20) == Keys{"c", "refused"});
  REQUIRE_FALSE(changes.between(PartitionId{1}, "t", 10, 40));  // another partition's
  REQUIRE_FALSE(changes.between(PartitionId{1}, "t", 30, 10));  // an older state than the checkpoint's
  REQUIRE_FALSE(changes.between(PartitionId{1}, "t", 11, 30));
  REQUIRE_FALSE(changes.between(PartitionId{3}, "t", 10, 30));
  // A record is lost, or damaged.
  ColumnChanges gap;
  REQUIRE(gap.read(first + elsewhere));
  REQUIRE_FALSE(gap.between(PartitionId{1}, "t", 10, 30));
  for (size_t at = 0; at < second.size(); ++at) {
    ColumnChanges cut;
    REQUIRE(cut.read(first + second.substr(0, at)) == (at == 0));
    REQUIRE(cut.between(PartitionId{1}, "t", 10, 20));
    REQUIRE_FALSE(cut.between(PartitionId{1}, "t", 10, 30));
    std::string damaged = second;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    ColumnChanges flipped;
    REQUIRE_FALSE(flipped.read(first + damaged));
    REQUIRE_FALSE(flipped.between(PartitionId{1}, "t", 10, 30));
  }
}

TEST_CASE("files of changes are removed once they are superfluous, and those of an older process are read",
          "[columns]") {
  test::TemporaryDirectory directory;
  const std::string folder = directory.sub("columns");
  {
    ColumnFiles files(folder);
    ColumnJournal journal(files);
    journal.write(batch(1, 10, 20, {{"t", "a"}}));
    journal.begin_file();
    journal.write(batch(1, 20, 30, {{"t", "b"}}));
    REQUIRE_FALSE(files.read_old_changes().between(PartitionId{1}, "t", 10, 30));  // they are not old
  }
  ColumnFiles files(folder);
  ColumnJournal journal(files);
  journal.write(batch(1, 30, 40, {{"t", "c"}}));
  REQUIRE(files.changes_bytes() > 0);
  REQUIRE(files.read_old_changes().between(PartitionId{1}, "t", 10, 30) == Keys{"a", "b"});
  REQUIRE_FALSE(files.read_old_changes().between(PartitionId{1}, "t", 10, 40));
  files.remove_changes(2);
  REQUIRE(files.read_old_changes().between(PartitionId{1}, "t", 20, 30) == Keys{"b"});
  files.remove_changes(UINT64_MAX);
  REQUIRE(files.changes_bytes() == 0);
}

TEST_CASE("a checkpoint that can't be written leaves the one before", "[columns]") {
  test::TemporaryDirectory directory;
  const std::string folder = directory.sub("columns");
  const ColumnFiles files(folder);
  std::string why;
  REQUIRE(files.write_part("t.x-1", PartitionId{3}, "first", why));
  REQUIRE(files.read_part("t.x-1", PartitionId{3}) == "first");
  REQUIRE(files.write_part("t", PartitionId{3}, "other", why));
  std::filesystem::create_directory(folder + "/new-3-t.x-1");
  REQUIRE_FALSE(files.write_part("t.x-1", PartitionId{3}, "second", why));
  REQUIRE(why.find("new-3-t.x-1") != std::string::npos);
  REQUIRE(files.read_part("t.x-1", PartitionId{3}) == "first");
  files.remove_parts([](const std::string& table, PartitionId) { return table == "t.x-1"; });
  REQUIRE(files.read_part("t.x-1", PartitionId{3}) == "first");
  REQUIRE_FALSE(files.read_part("t", PartitionId{3}));
}

}  // namespace covey::server::column_checkpoint_test
