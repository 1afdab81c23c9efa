// Sums, squares and extremes of non-negative doubles for one or two sets of rows at once; a part of
// kernels_body.h. What costs is to make the units of a value, and that is done once.

template <class W, int kFolds>
struct Moments {
  typename W::I sums[kFolds];
  typename W::I parts[kFolds * (kFolds + 1)];
  typename W::F least, most;

  void begin(const FloatSums& from) {
    for (auto& sum : sums) sum = W::seti(0);
    for (auto& part : parts) part = W::seti(0);
    least = W::set(from.min);
    most = W::set(from.max);
  }
  // mantissas: of the anchors plus the value: 2^52 and the units.
  void add(typename W::M m, typename W::F x, const typename W::F* mantissas, const typename W::I* units) {
    least = W::min(m, least, x);
    most = W::max(m, most, x);
    for (int f = 0; f < kFolds; ++f) sums[f] = W::addi(m, sums[f], units[f]);
    int part = 0;
    for (int second = 0; second < kFolds; ++second) {
      for (int first = 0; first <= second; ++first, part += 2) {
        parts[part] = W::add_low(m, parts[part], mantissas[first], mantissas[second]);
        parts[part + 1] = W::add_high(m, parts[part + 1], mantissas[first], mantissas[second]);
      }
    }
  }
  void end(FloatSums& into) const {
    for (int f = 0; f < kFolds; ++f) into.sum[f] += W::total(sums[f]);
    for (int p = 0; p < kFolds * (kFolds + 1); p += 2)
      carry_product(static_cast<uint64_t>(W::total(parts[p])), W::total(parts[p + 1]), into.squares + p);
    into.min = W::least(least) < into.min ? W::least(least) : into.min;
    into.max = W::most(most) > into.max ? W::most(most) : into.max;
  }
};

template <class W, int kFolds, size_t kSets>
void moments_loop(const double* values, size_t rows, const Folds& folds, const RowSums* sets) {
  typename W::F anchors[kFolds];
  Moments<W, kFolds> moments[kSets];
  for (int f = 0; f < kFolds; ++f) anchors[f] = W::set(folds.anchors[f] / 1.5);  // 2^52 units
  for (size_t s = 0; s < kSets; ++s) moments[s].begin(*sets[s].into);
  for (size_t row = 0; row < rows; row += W::lanes) {
    const typename W::F x = W::load(values + row);
    typename W::F rest = x;
    typename W::F mantissas[kFolds];
    typename W::I units[kFolds];
    for (int f = 0; f < kFolds; ++f) {
      mantissas[f] = W::add_down(anchors[f], rest);
      units[f] = W::subi(W::bits(mantissas[f]), W::bits(anchors[f]));
      if (f + 1 < kFolds) rest = W::sub(rest, W::sub(mantissas[f], anchors[f]));
    }
    for (size_t s = 0; s < kSets; ++s)
      moments[s].add(sets[s].mask == nullptr ? W::all() : W::mask(sets[s].mask, row), x, mantissas, units);
  }
  for (size_t s = 0; s < kSets; ++s) moments[s].end(*sets[s].into);
}

template <class W>
void moments_together(const double* values, size_t rows, const Folds& folds, const RowSums* sets,
                      size_t count) {
  if constexpr (W::integer_squares) {
    for (size_t s = 0; s < count; s += 2) {
      const bool two = s + 1 < count;
      if (folds.count == 1) {
        two ? moments_loop<W, 1, 2>(values, rows, folds, sets + s)
            : moments_loop<W, 1, 1>(values, rows, folds, sets + s);
      } else {
        two ? moments_loop<W, 2, 2>(values, rows, folds, sets + s)
            : moments_loop<W, 2, 1>(values, rows, folds, sets + s);
      }
    }
  }
}
