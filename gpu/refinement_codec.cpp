// The encodings of what exact quantiles ask in a further pass, and of what is found.
#include <algorithm>

#include "gpu/bytes.h"
#include "gpu/group_key.h"
#include "gpu/mix.h"
#include "gpu/partials.h"

namespace covey::agg {

namespace {

constexpr uint8_t kFormat = 1;
constexpr uint64_t kAskMagic = 0x6b73617665766f63;    // "covevask"
constexpr uint64_t kFoundMagic = 0x646e7566766f6363;  // "ccovfund"

Error corrupt() {
  return Error{ErrorCode::kCorrupt, "a round of a quantile is damaged or cut short: ask again", ""};
}
Error mismatch() {
  return Error{ErrorCode::kMismatch, "a round of a quantile is of other queries: ask again", ""};
}

std::string sealed(ByteWriter& out) {
  Checksum sum;
  sum.update(out.bytes().data(), out.bytes().size());
  out.u64(sum.value());
  return out.take();
}

// Checks magic, format and checksum; leaves the reader behind the format.
Result<ByteReader> open(std::string_view bytes, uint64_t magic) {
  if (bytes.size() < 17) return corrupt();
  const std::string_view body = bytes.substr(0, bytes.size() - 8);
  ByteReader in(body);
  ByteReader tail(bytes.substr(body.size()));
  if (in.u64() != magic) return corrupt();
  const uint8_t format = in.u8();
  if (format > kFormat)
    return Error{ErrorCode::kNewerFormat, "a round of a quantile is of a later version", ""};
  Checksum sum;
  sum.update(body.data(), body.size());
  if (format != kFormat || sum.value() != tail.u64()) return corrupt();
  return in;
}

}  // namespace

std::string Refinement::encode() const {
  ByteWriter out;
  out.u64(kAskMagic);
  out.u8(kFormat);
  out.u64(fingerprint);
  out.varint(round);
  out.varint(targets.size());
  for (const QuantileTarget& target : targets) {
    out.varint(target.measure);
    out.text(target.group);
    out.u64(target.lo);
    out.u64(target.hi);
    out.varint(target.count);
    out.u8(target.collect ? 1 : 0);
  }
  return sealed(out);
}

Result<Refinement> Refinement::decode(const Plan& plan, std::string_view bytes) {
  Result<ByteReader> opened = open(bytes, kAskMagic);
  if (!opened) return opened.error();
  ByteReader& in = *opened;
  Refinement ask;
  ask.fingerprint = in.u64();
  const uint64_t round = in.varint();
  if (round > UINT32_MAX) return corrupt();
  ask.round = static_cast<uint32_t>(round);
  if (in.ok() && ask.fingerprint != plan.fingerprint()) return mismatch();
  const uint64_t size = in.varint();
  if (size == 0 || size > kTargetsMax || size > in.left()) return corrupt();
  std::vector<Value> values;
  size_t counted = 0;
  for (uint64_t i = 0; i < size; ++i) {
    QuantileTarget target;
    const uint64_t measure_index = in.varint();
    if (measure_index >= plan.measures().size()) return corrupt();
    target.measure = static_cast<uint32_t>(measure_index);
    target.group = std::string(in.text(kGroupColumnsMax * (2 * kStringBytesMax + 3)));
    target.lo = in.u64();
    target.hi = in.u64();
    target.count = in.varint();
    const uint8_t collect = in.u8();
    target.collect = collect == 1;
    if (!in.ok() || collect > 1 || target.lo > target.hi) return corrupt();
    counted += target.collect ? 0 : 1;
    if (counted > kCountedTargetsMax) return corrupt();
    const Measure& measure = plan.measures()[target.measure];
    std::vector<ColumnType> types;
    for (const uint32_t column : plan.selections()[measure.selection].group_by) {
      types.push_back(plan.schema().columns[column].type);
    }
    if (measure.type == ColumnType::kString || !decode_group_key(target.group, types, values))
      return corrupt();
    if (!ask.targets.empty()) {
      const QuantileTarget& before = ask.targets.back();
      if (std::tie(before.measure, before.group, before.lo) >=
          std::tie(target.measure, target.group, target.lo)) {
        return corrupt();
      }
    }
    ask.targets.push_back(std::move(target));
  }
  if (!in.ended()) return corrupt();
  return ask;
}

Refined::Refined(const Refinement& ask)
    : fingerprint(ask.fingerprint), round(ask.round), found(ask.targets.size()) {
  for (size_t i = 0; i < found.size(); ++i) {
    if (!ask.targets[i].collect) found[i].resize(kRefineBins);
  }
}

Status Refined::merge(const Refinement& ask, Refined&& other) {
  if (fingerprint != ask.fingerprint || other.fingerprint != fingerprint || other.round != round ||
      found.size() != ask.targets.size() || other.found.size() != found.size()) {
    return mismatch();
  }
  for (size_t i = 0; i < found.size(); ++i) {
    if (ask.targets[i].collect) {
      std::vector<uint64_t> merged(found[i].size() + other.found[i].size());
      std::merge(found[i].begin(), found[i].end(), other.found[i].begin(), other.found[i].end(),
                 merged.begin());
      found[i] = std::move(merged);
    } else {
      for (size_t bin = 0; bin < found[i].size(); ++bin) found[i][bin] += other.found[i][bin];
    }
  }
  return Done{};
}

std::string Refined::encode() const {
  ByteWriter out;
  out.u64(kFoundMagic);
  out.u8(kFormat);
  out.u64(fingerprint);
  out.varint(round);
  out.varint(found.size());
  for (const std::vector<uint64_t>& values : found) {
    out.varint(values.size());
    for (const uint64_t value : values) out.varint(value);
  }
  return sealed(out);
}

Result<Refined> Refined::decode(const Refinement& ask, std::string_view bytes) {
  Result<ByteReader> opened = open(bytes, kFoundMagic);
  if (!opened) return opened.error();
  ByteReader& in = *opened;
  Refined refined(ask);
  if (in.u64() != ask.fingerprint || in.varint() != ask.round || in.varint() != ask.targets.size()) {
    return in.ok() ? mismatch() : corrupt();
  }
  for (size_t i = 0; i < ask.targets.size(); ++i) {
    const QuantileTarget& target = ask.targets[i];
    const uint64_t size = in.varint();
    if (size > in.left() || (!target.collect && size != kRefineBins)) return corrupt();
    refined.found[i].resize(size);
    for (uint64_t& value : refined.found[i]) value = in.varint();
    if (!in.ok()) return corrupt();
    if (!target.collect) continue;
    const auto& values = refined.found[i];
    if (!std::is_sorted(values.begin(), values.end())) return corrupt();
    if (!values.empty() && (values.front() < target.lo || values.back() > target.hi)) return corrupt();
  }
  if (!in.ended()) return corrupt();
  return refined;
}

}  // namespace covey::agg
