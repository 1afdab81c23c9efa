// A cell as bytes, as checkpoints hold it (docs/formats.md).
#pragma once

#include "gpu/bytes.h"
#include "gpu/order.h"
#include "gpu/value.h"

namespace covey::agg {

inline void write_value(ByteWriter& out, const Value& value) {
  out.u8(static_cast<uint8_t>(value.index()));
  if (const auto* integer = std::get_if<int64_t>(&value)) out.u64(static_cast<uint64_t>(*integer));
  if (const auto* number = std::get_if<double>(&value)) out.u64(bits_of(*number));
  if (const auto* text = std::get_if<std::string>(&value)) out.text(*text);
}

// Of other bytes the reader fails.
inline Value read_value(ByteReader& in) {
  switch (in.u8()) {
    case 0:
      return {};
    case 1:
      return static_cast<int64_t>(in.u64());
    case 2:
      return float_of(in.u64());
    case 3:
      return std::string(in.text(kStringBytesMax));
    default:
      in.fail();
      return {};
  }
}

}  // namespace covey::agg
