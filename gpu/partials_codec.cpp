// The encoding of partials (docs/formats.md). Canonical: one multiset of rows, one sequence of bytes.
#include <algorithm>

#include "gpu/bytes.h"
#include "gpu/group_key.h"
#include "gpu/mix.h"
#include "gpu/partials.h"

namespace covey::agg {

namespace {

constexpr uint8_t kFormat = 1;
constexpr uint64_t kPartialsMagic = 0x7374726170766f63;  // "covparts"
constexpr int kLimbBase = 70;                            // limbs lie between 2^(-64 * 70) and 2^(64 * 70)
constexpr size_t kMessageMax = 4096;

Error corrupt() {
  return Error{ErrorCode::kCorrupt, "a partial result is damaged or cut short: ask again", ""};
}

}  // namespace

class StateCodec {
 public:
  static void write(ByteWriter& out, const SelectionState& state) {
    write(out, state.failed);
    if (state.failed) return;
    out.varint(state.keys.size());
    for (size_t i = 0; i < state.keys.size(); ++i) out.text(state.keys[i]);
    counts(out, state.rows);
    for (const MeasureState& measure : state.measures) write(out, measure);
  }

  static bool read(ByteReader& in, const Plan& plan, uint32_t index, SelectionState& state) {
    const Selection& selection = plan.selections()[index];
    if (!read(in, state.failed)) return false;
    if (state.failed) return true;
    const uint64_t groups = in.varint();
    // Memory is taken for what has come: a group takes two bytes at least, and in each measure some more.
    if (groups > selection.limit_groups + 1 || groups > in.left() / 2) return false;
    if (selection.group_by.empty() && groups != 1) return false;
    std::vector<ColumnType> types;
    for (const uint32_t column : selection.group_by) types.push_back(plan.schema().columns[column].type);
    std::vector<Value> values;
    for (size_t i = 0; i < groups; ++i) {
      state.keys.push_back(in.text(kGroupColumnsMax * (2 * kStringBytesMax + 3)));
      if (!in.ok() || !decode_group_key(state.keys[i], types, values)) return false;
      if (i > 0 && !(state.keys[i - 1] < state.keys[i])) return false;
    }
    if (groups > in.left()) return false;
    state.rows.resize(groups);
    read_counts(in, state.rows);
    for (const uint32_t measure : selection.measures) {
      if (!read(in, plan.measures()[measure], state.measures.emplace_back(), state.rows)) return false;
    }
    return in.ok();
  }

 private:
  static void write(ByteWriter& out, const std::optional<Error>& failed) {
    out.u8(failed ? 1 : 0);
    if (!failed) return;
    out.u8(static_cast<uint8_t>(failed->code));
    out.text(failed->message.substr(0, kMessageMax));
    out.text(failed->subject.substr(0, kMessageMax));
  }
  static bool read(ByteReader& in, std::optional<Error>& failed) {
    const uint8_t present = in.u8();
    if (present == 0 || present > 1) return in.ok() && present == 0;
    const uint8_t code = in.u8();
    Error error{static_cast<ErrorCode>(code), std::string(in.text(kMessageMax)),
                std::string(in.text(kMessageMax))};
    failed = std::move(error);
    return in.ok() && code >= 1 && code <= static_cast<uint8_t>(ErrorCode::kNewerFormat);
  }

  // That one group takes in a message, at least.
  static uint64_t least_bytes(const Measure& measure) {
    uint64_t bytes = 1;
    if (measure.needs & kNeedMinMax) bytes += 16;
    if (measure.needs & kNeedSketch) bytes += 1;
    if (measure.needs & kNeedDistinct) bytes += 2;
    if (measure.needs & kNeedFirst) bytes += 1;
    if (measure.needs & kNeedLast) bytes += 1;
    for (const auto& edges : measure.edges) bytes += edges.size() + 1;
    return bytes;
  }

  static void counts(ByteWriter& out, const std::vector<uint64_t>& values) {
    for (const uint64_t value : values) out.varint(value);
  }
  static void read_counts(ByteReader& in, std::vector<uint64_t>& values) {
    for (uint64_t& value : values) value = in.varint();
  }

  static void write(ByteWriter& out, const MeasureState& measure) {
    write(out, measure.failed);
    if (measure.failed) return;
    counts(out, measure.valid);
    const auto any = [](const std::vector<uint64_t>& values) {
      return std::any_of(values.begin(), values.end(), [](uint64_t value) { return value != 0; });
    };
    const bool special =
        any(measure.nan) || any(measure.positive_infinities) || any(measure.negative_infinities);
    out.u8(special ? 1 : 0);
    if (special) {
      counts(out, measure.nan);
      counts(out, measure.positive_infinities);
      counts(out, measure.negative_infinities);
    }
    if (measure.sum.groups() > 0) write(out, measure.sum);
    if (measure.squares.groups() > 0) write(out, measure.squares);
    for (const uint64_t key : measure.min) out.u64(key);
    for (const uint64_t key : measure.max) out.u64(key);
    for (const SketchState& sketch : measure.sketches) write(out, sketch);
    for (const DistinctState& distinct : measure.distinct) write(out, distinct);
    for (const auto& histogram : measure.histograms) counts(out, histogram);
    for (const TimedValue& timed : measure.first) write(out, timed);
    for (const TimedValue& timed : measure.last) write(out, timed);
  }

  static bool read(ByteReader& in, const Measure& wanted, MeasureState& measure,
                   const std::vector<uint64_t>& rows) {
    std::optional<Error> failed;
    if (!read(in, failed)) return false;
    if (failed) {
      measure.failed = std::move(failed);
      return true;
    }
    if (in.left() / least_bytes(wanted) < rows.size()) return false;
    resize_measure(wanted, measure, rows.size());
    read_counts(in, measure.valid);
    const uint8_t special = in.u8();
    if (special > 1 || (special == 1 && measure.nan.size() != measure.valid.size())) return false;
    if (special == 1) {
      read_counts(in, measure.nan);
      read_counts(in, measure.positive_infinities);
      read_counts(in, measure.negative_infinities);
    }
    std::vector<uint64_t> finite(measure.valid);
    for (size_t i = 0; i < finite.size(); ++i) {
      if (finite[i] > rows[i]) return false;
      for (const auto* counts : {&measure.nan, &measure.positive_infinities, &measure.negative_infinities}) {
        if (counts->empty()) continue;
        if ((*counts)[i] > finite[i]) return false;
        finite[i] -= (*counts)[i];
      }
    }
    if (measure.sum.groups() > 0 && !read(in, measure.sum)) return false;
    if (measure.squares.groups() > 0 && !read(in, measure.squares)) return false;
    for (uint64_t& key : measure.min) key = in.u64();
    for (uint64_t& key : measure.max) key = in.u64();
    for (size_t i = 0; i < measure.min.size(); ++i) {
      const bool none = measure.min[i] == UINT64_MAX && measure.max[i] == 0;
      if (finite[i] == 0 ? !none : measure.min[i] > measure.max[i]) return false;
    }
    for (size_t i = 0; i < measure.sketches.size(); ++i) {
      if (!read(in, measure.sketches[i], finite[i])) return false;
    }
    for (DistinctState& distinct : measure.distinct) {
      if (!read(in, distinct)) return false;
    }
    for (auto& histogram : measure.histograms) {
      read_counts(in, histogram);
    }
    for (TimedValue& timed : measure.first) read(in, timed);
    for (TimedValue& timed : measure.last) read(in, timed);
    return in.ok();
  }

  static void write(ByteWriter& out, const WideSums& sums) {
    out.zigzag(sums.base());
    out.varint(sums.limbs());
    out.raw(sums.data_.data(), sums.groups() * sums.limbs() * 8);
  }
  static bool read(ByteReader& in, WideSums& sums) {
    const int64_t base = in.zigzag();
    const uint64_t limbs = in.varint();
    if (base < -kLimbBase || limbs > 2 * kLimbBase || base + static_cast<int64_t>(limbs) > kLimbBase)
      return false;
    if (in.left() / 8 < sums.groups() * limbs) return false;
    sums.base_ = static_cast<int>(base);
    sums.limbs_ = static_cast<uint32_t>(limbs);
    sums.data_.resize(sums.groups_ * limbs);
    in.raw(sums.data_.data(), sums.data_.size() * 8);
    return in.ok();
  }

  static void write(ByteWriter& out, const SketchState& sketch) {
    out.varint(sketch.size());
    uint32_t before = 0;
    for (const SketchBin& bin : sketch) {
      out.varint(bin.bucket - before);
      out.varint(bin.count);
      before = bin.bucket;
    }
  }
  static bool read(ByteReader& in, SketchState& sketch, uint64_t expected) {
    const uint64_t size = in.varint();
    if (size > in.left() / 2) return false;
    sketch.reserve(size);
    uint64_t bucket = 0;
    for (uint64_t i = 0; i < size; ++i) {
      const uint64_t step = in.varint();
      const uint64_t count = in.varint();
      bucket += step;
      if (count == 0 || step > UINT32_MAX || (i > 0 && step == 0) || bucket >= uint64_t{1} << 19)
        return false;
      if (count > expected) return false;
      expected -= count;
      sketch.push_back({static_cast<uint32_t>(bucket), count});
    }
    return in.ok() && expected == 0;
  }

  static void write(ByteWriter& out, const DistinctState& distinct) {
    out.u8(distinct.exact() ? 0 : 1);
    if (!distinct.exact()) {
      out.raw(distinct.registers().data(), distinct.registers().size());
      return;
    }
    const std::vector<uint64_t> hashes = distinct.sorted();
    out.varint(hashes.size());
    for (const uint64_t hash : hashes) out.u64(hash);
  }
  static bool read(ByteReader& in, DistinctState& distinct) {
    const uint8_t sketched = in.u8();
    if (sketched == 1) {
      std::vector<uint8_t> registers(size_t{1} << kHllPrecision);
      in.raw(registers.data(), registers.size());
      for (const uint8_t rank : registers) {
        if (rank > 64 - kHllPrecision + 1) return false;
      }
      distinct.set_registers(std::move(registers));
      return in.ok();
    }
    const uint64_t size = in.varint();
    if (sketched != 0 || size > kDistinctExactMax || size > in.left() / 8) return false;
    uint64_t before = 0;
    for (uint64_t i = 0; i < size; ++i) {
      const uint64_t hash = in.u64();
      if (i > 0 && hash <= before) return false;
      distinct.add(hash);
      before = hash;
    }
    return in.ok();
  }

  static void write(ByteWriter& out, const TimedValue& timed) {
    out.u8(timed.present ? 1 : 0);
    if (!timed.present) return;
    out.zigzag(timed.time);
    out.u64(timed.value);
  }
  static void read(ByteReader& in, TimedValue& timed) {
    const uint8_t present = in.u8();
    if (present > 1) in.fail();
    timed.present = present == 1;
    if (!timed.present) return;
    timed.time = in.zigzag();
    timed.value = in.u64();
  }
};

std::string Partials::encode() const {
  ByteWriter out;
  out.u64(kPartialsMagic);
  out.u8(kFormat);
  out.u64(fingerprint_);
  out.varint(selections_.size());
  for (const SelectionState& state : selections_) StateCodec::write(out, state);
  Checksum sum;
  sum.update(out.bytes().data(), out.bytes().size());
  out.u64(sum.value());
  return out.take();
}

Result<Partials> Partials::decode(const Plan& plan, std::string_view bytes) {
  if (bytes.size() < 17 + 8) return corrupt();
  const std::string_view body = bytes.substr(0, bytes.size() - 8);
  ByteReader tail(bytes.substr(body.size()));
  ByteReader in(body);
  if (in.u64() != kPartialsMagic) return corrupt();
  if (const uint8_t format = in.u8(); format != kFormat) {
    if (format == 0) return corrupt();
    return Error{ErrorCode::kNewerFormat, "a partial result is of a later version: upgrade this node", ""};
  }
  Checksum sum;
  sum.update(body.data(), body.size());
  if (sum.value() != tail.u64()) return corrupt();
  Partials partials;
  partials.fingerprint_ = in.u64();
  if (partials.fingerprint_ != plan.fingerprint() || in.varint() != plan.selections().size()) {
    return Error{ErrorCode::kMismatch, "a partial result is of other queries or of another schema: ask again",
                 ""};
  }
  partials.selections_.resize(plan.selections().size());
  for (uint32_t i = 0; i < partials.selections_.size(); ++i) {
    if (!StateCodec::read(in, plan, i, partials.selections_[i])) return corrupt();
  }
  if (!in.ended()) return corrupt();
  return partials;
}

}  // namespace covey::agg
