// Counting sketch buckets; a part of kernels_body.h.

// The places of 8 rows in the tables of counts.
template <size_t kMasks, bool kAny>
inline void places_of(const double* values, size_t row, const BucketMasks& wanted, V::I offset,
                      const V::I* steps, uint32_t* into) {
  for (size_t at = row; at < row + 8; at += V::lanes) {
    const V::I key = V::order(V::bits(V::load(values + at)));
    V::I place = V::addi(V::shift_right(key, kSketchShift), offset);
    for (size_t i = 0; i < kMasks; ++i) place = V::addi(V::mask(wanted.masks[i], at), place, steps[i]);
    if constexpr (kAny) place = V::addi(V::mask(wanted.any, at), V::iota(), place);
    V::store_low(into + (at - row), place);
  }
}

inline void count_places(const uint32_t* places, uint32_t* counts) {
  for (size_t i = 0; i < 8; i += 2) {  // two with one load
    uint64_t two;
    __builtin_memcpy(&two, places + i, sizeof two);
    ++counts[static_cast<uint32_t>(two)];
    ++counts[two >> 32];
  }
}

// Rows are counted some time after their places were made: the one waits for memory, the other computes.
template <size_t kMasks, bool kAny>
void count_loop(const double* values, size_t rows, const BucketMasks& wanted, uint32_t* counts) {
  constexpr size_t kBehind = 64;
  alignas(64) uint32_t ring[2 * kBehind];
  const V::I always = V::seti(int64_t{wanted.always});
  const V::I offset = kAny ? V::subi(always, V::iota()) : always;
  V::I steps[kMasks + 1];
  for (size_t i = 0; i < kMasks; ++i) steps[i] = V::seti(int64_t{wanted.steps[i]});
  for (size_t row = 0; row < kBehind; row += 8)
    places_of<kMasks, kAny>(values, row, wanted, offset, steps, ring + row);
  for (size_t row = kBehind; row < rows; row += 8) {
    // The next block: there is much to be computed meanwhile.
    __builtin_prefetch(values + row + kBlockRows - kBehind, 0, 2);
    places_of<kMasks, kAny>(values, row, wanted, offset, steps, ring + row % (2 * kBehind));
    count_places(ring + (row - kBehind) % (2 * kBehind), counts);
  }
  for (size_t row = rows - kBehind; row < rows; row += 8) {
    __builtin_prefetch(values + row + kBlockRows, 0, 2);
    count_places(ring + row % (2 * kBehind), counts);
  }
}

template <size_t kMasks>
void count_masks(const double* values, size_t rows, const BucketMasks& wanted, uint32_t* counts) {
  if (wanted.any != nullptr) {
    count_loop<kMasks, true>(values, rows, wanted, counts);
  } else {
    count_loop<kMasks, false>(values, rows, wanted, counts);
  }
}

void count_buckets(const double* values, size_t rows, const BucketMasks& wanted, uint32_t* counts) {
  switch (wanted.count) {
    case 0:
      return count_masks<0>(values, rows, wanted, counts);
    case 1:
      return count_masks<1>(values, rows, wanted, counts);
    case 2:
      return count_masks<2>(values, rows, wanted, counts);
    case 3:
      return count_masks<3>(values, rows, wanted, counts);
    default:
      return count_masks<4>(values, rows, wanted, counts);
  }
}
