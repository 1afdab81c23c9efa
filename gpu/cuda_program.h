// What kernels read: plain structures that the host fills and copies to the device. All pointers are the
// device's. No type of CUDA is named here: the host side and the tests' emulation compile without it.
//
// A scan is a program: selections, each with its tests and measures, over units (row groups). What a
// selection keeps of a group is a row of 64-bit words that start at zero; each word is either a sum of
// integers or a greatest value (a least one is the greatest of the complements), so the order of updates is
// without effect.
#pragma once

#include <cstdint>

#include "gpu/fold.h"

namespace covey::agg::cuda {

inline constexpr uint32_t kThreads = 256;     // of a block
inline constexpr uint32_t kRowsAThread = 16;  // of a chunk: eight loads of two rows
inline constexpr uint32_t kChunkRows = kThreads * kRowsAThread;
inline constexpr uint32_t kPairs = kRowsAThread / 2;
// A word takes at most 2^40 from a row: so many rows stay below 2^62.
inline constexpr uint64_t kRowsAWord = uint64_t{1} << 22;
inline constexpr uint32_t kNothing = UINT32_MAX;

// ---- What is scanned

enum ColumnFlag : uint32_t { kColumnFull = 1, kColumnSpecial = 2 };  // no row is null; NaN or infinities

// A tile; `values` null: the row group has no value of the column.
struct Column {
  const uint64_t* values = nullptr;  // strings: codes of 32 bits
  const uint32_t* valid = nullptr;
  uint32_t flags = 0;
  uint32_t unused = 0;
};

enum UnitFlag : uint32_t { kUnitFull = 1 };  // every row is live

struct Unit {
  const uint32_t* live = nullptr;
  const uint32_t* excluded = nullptr;  // null: none
  uint32_t capacity = 0;               // rows, a multiple of 64
  uint32_t input = 0;
  uint32_t first_word = 0;  // of the row group in its input's row sets
  uint32_t flags = 0;
};

// What zone maps say of a selection on a unit.
enum Pass : uint8_t { kPassSkip = 0, kPassTest = 1, kPassAll = 2 };

// ---- What is asked

// Order-mapped bits are bits ^ (sign | (flip & sign spread over all bits)); see gpu/order.h.
inline constexpr uint64_t kFlipFloat = ~kSignBit;
inline constexpr uint64_t kFlipInt = 0;
COVEY_AGG_HD inline uint64_t key_of_bits(uint64_t bits, uint64_t flip) {
  return bits ^ (kSignBit | (flip & static_cast<uint64_t>(static_cast<int64_t>(bits) >> 63)));
}

// One condition. `kind` is Condition::Kind.
struct Test {
  uint32_t column = 0;  // of the unit's
  uint32_t kind = 0;
  uint64_t flip = 0;
  uint64_t lo = 0, hi = 0;
  const uint64_t* keys = nullptr;           // sorted
  const uint8_t* const* allowed = nullptr;  // strings: for each input, a byte for each code
  uint32_t keys_count = 0;
  uint32_t unused = 0;
};

// Strings, dense: the code behind `translations`; numbers, dense: key - base. 0 is null.
struct GroupBy {
  uint32_t column = 0;
  uint32_t is_string = 0;
  uint64_t flip = 0;
  uint64_t base = 0;
  uint64_t dim = 0;
  const uint32_t* const* translations = nullptr;  // by input; null: codes as they are
};

// How a sum is made of words.
enum class SumForm : uint32_t {
  kNone = 0,
  kFolds,  // a word for each fold
  kLimbs,  // doubles of any range: words of 32 bits from 2^base on
  kInts,   // 32 bits a word; one word: whole values
};
struct SumWords {
  SumForm form = SumForm::kNone;
  uint32_t word = 0;
  uint32_t count = 0;
  int32_t base = 0;
  Folds folds;
};

// Counts by bin of each group, 64 bits each; where they fit the shared memory, 32 bits there first.
struct Bins {
  uint64_t* counts = nullptr;
  uint64_t size = 0;              // of all groups
  uint32_t width = 0;             // of one group
  uint32_t shared_at = kNothing;  // byte offset
};
struct Histogram {
  const uint64_t* edges = nullptr;
  uint32_t edges_count = 0;
  uint32_t bins = 0;
};

inline constexpr uint32_t kDistinctSlots = 16384;
inline constexpr uint32_t kRegisters = 16384;
struct Distinct {
  uint64_t* table = nullptr;  // kDistinctSlots hashes a group; 0: free
  uint32_t* registers = nullptr;
  uint32_t* state = nullptr;  // four a group: hashes in the table; 0 was seen; more than fit; unused
  // Strings: a bit for each code of each group.
  uint32_t* seen = nullptr;
  uint64_t words = 0;                             // of a group
  const uint32_t* const* translations = nullptr;  // by input; null: codes as they are
};

struct Measure {
  uint32_t column = 0;
  uint32_t is_float = 0;
  uint64_t flip = 0;
  uint32_t nulls = 0;    // word
  uint32_t special = 0;  // word of NaN, then infinity, then -infinity; floats only
  SumWords sum, squares;
  uint32_t least = kNothing, most = kNothing;  // words
  uint32_t first = kNothing, last = kNothing;  // words of time, then of value
  uint32_t sketch = kNothing;                  // into ScanJob::bins
  uint32_t first_bucket = 0;
  uint32_t histograms_begin = 0, histograms_end = 0;
  uint32_t distinct = kNothing;
  uint32_t by_rows = 0;  // more than sums, least and greatest is wanted
};

// Where a selection's words are while a block works.
enum class Tier : uint32_t {
  kAlone = 1,  // one group, its own words for each thread
  kPrivate,    // few groups, likewise
  kShared,     // one set of words for each block, in shared memory
  kGlobal,     // one set for all
};

struct Selection {
  Tier tier = Tier::kAlone;
  uint32_t width = 0;  // words of a group; word 0 counts rows
  uint64_t groups = 1;
  uint32_t tests_begin = 0, tests_end = 0;
  uint32_t groups_begin = 0, groups_end = 0;  // GroupBy
  uint32_t measures_begin = 0, measures_end = 0;
  uint32_t row_set = kNothing;
  uint32_t shared_at = kNothing;  // byte offset; kNothing: in `words`
  uint64_t* words = nullptr;      // kAlone: kThreads sets for each block; kGlobal: one set
  uint64_t* result = nullptr;     // two words for each: sum of lower 32 bits and of the rest; or the greatest
  const uint8_t* greatest = nullptr;  // for each word of a group: whether it is a greatest value
  // Groups that are not dense: entered into a table of hashes first, then numbered.
  uint64_t* table = nullptr;          // 0: free
  uint64_t* group_words = nullptr;    // each place's columns, and its bits of nulls
  uint32_t* table_state = nullptr;    // places taken; no room; two keys with one hash
  const uint32_t* numbers = nullptr;  // of each place
  uint64_t table_mask = 0;
  uint32_t limit = 0;  // no more places than this
  uint32_t unused = 0;
};

enum class Round : uint32_t {
  kGroups,  // enters groups that are not dense
  kMain,
  kTimes,  // values at the earliest and latest times, which are known then
};

struct ScanJob {
  const Unit* units = nullptr;
  const Column* columns = nullptr;            // columns_count for each unit
  const uint8_t* passes = nullptr;            // selections for each unit
  const uint32_t* const* row_sets = nullptr;  // row_sets_count for each input
  const Selection* selections = nullptr;
  const Test* tests = nullptr;
  const GroupBy* group_bys = nullptr;
  const Measure* measures = nullptr;
  const Bins* bins = nullptr;
  const Histogram* histograms = nullptr;
  const Distinct* distincts = nullptr;
  uint32_t columns_count = 0;
  uint32_t selections_count = 0;
  uint32_t row_sets_count = 0;
  uint32_t bins_count = 0;
  uint32_t chunks_begin = 0, chunks_end = 0;
  uint32_t chunks_a_unit = 1;
  uint32_t time_column = 0;  // of the unit's
  uint32_t shared_bytes = 0;
  Round round = Round::kMain;
};

// The words of selections that update the device's memory are carried into their results.
struct CarryJob {
  uint64_t* words = nullptr;
  uint64_t* result = nullptr;
  const uint8_t* greatest = nullptr;
  uint64_t groups = 0;
  uint32_t width = 0;
};

// ---- A further round of exact quantiles

struct Target {
  uint64_t lo = 0, hi = 0;
  uint64_t* found = nullptr;  // counts by bin, or keys
  uint32_t* used = nullptr;   // null: bins; else how many keys were met
  uint32_t capacity = 0;      // of keys
  int32_t shift = 0;          // of bins
};

struct RefineMeasure {
  uint32_t selection = 0;
  uint32_t column = 0;
  uint64_t flip = 0;
  const uint32_t* ranges = nullptr;  // for each group: its first target, and one past its last
};

struct RefineJob {
  ScanJob scan;  // words and measures are not used
  const RefineMeasure* measures = nullptr;
  const Target* targets = nullptr;
  uint32_t measures_count = 0;
};

// How fast a plain read is.
struct ReadJob {
  const uint64_t* from = nullptr;
  uint64_t words = 0;  // a multiple of 2
  uint64_t* sum = nullptr;
};

enum class Kernel : uint8_t { kScan = 1, kOne, kCarry, kRefine, kRead };

}  // namespace covey::agg::cuda
