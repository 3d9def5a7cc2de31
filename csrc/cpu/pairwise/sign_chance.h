// Mean and deviation of REC over sign patterns of |d|, for a vector of pairs: REC of a pattern is that of S₂ = |d| on
// the directions whose sign is +, and 0 elsewhere. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/metrics/metrics.h"
#include "cpu/pairwise/sign_patterns.h"

namespace taskvec::TASKVEC_LEVEL {

template <class T>
struct SignChance {
  Vec<T> mean{}, sd{};
};

// A sum by halves: the same bits when every term comes twice, as with one more direction that is zero.
template <class T>
class HalvingSum {
 public:
  void add(Vec<T> value) {
    for (int64_t place = count_++; place & 1; place >>= 1) value = parts_[--held_] + value;
    parts_[held_++] = value;
  }
  Vec<T> value() const { return parts_[0]; }  // of a power of two of terms

 private:
  Vec<T> parts_[32];
  int64_t count_ = 0;
  int held_ = 0;
};

// A pattern and its complement, where every direction is on in one of the two, are computed together, four such couples
// a run. share: S₁/ΣS₁, part: |d|/Σ|d|, by direction.
template <class T>
class SignRuns {
 public:
  SignRuns(const SignPatterns& patterns, const Vec<T>* share, const Vec<T>* part)
      : patterns_(patterns), share_(share), part_(part) {}

  SignChance<T> chance() const {
    HalvingSum<T> sums, squares;
    for (std::uint32_t run = 0; run < patterns_.runs; ++run) {
      Inverses inverse;
      invert(run, inverse);
      Couples rec{};
      add<0>(run, inverse, rec), add<1>(run, inverse, rec), add<2>(run, inverse, rec), add<3>(run, inverse, rec);
      Vec<T> square[4];
      for (int j = 0; j < 4; ++j) {
        rec.sum[j] -= T(1);  // REC − ½ of the two, so that the variance does not cancel
        square[j] = rec.sum[j] * rec.sum[j] + rec.difference[j] * rec.difference[j];
      }
      sums.add((rec.sum[0] + rec.sum[1]) + (rec.sum[2] + rec.sum[3]));
      squares.add((square[0] + square[1]) + (square[2] + square[3]));
    }
    const T each = T(1) / T(8 * int64_t(patterns_.runs));
    const Vec<T> mean = sums.value() * each, variance = squares.value() * (each / 2) - mean * mean;
    return {mean + T(0.5), vector_sqrt<T>(variance < T(0) ? Vec<T>{} : variance)};
  }

 private:
  // 1 / Σ part of the directions that are on, of the pattern itself [0] and its complement [1]
  using Inverses = Vec<T>[2][4];
  // by sign; read, as to convert an integer takes longer
  static constexpr T one_if_0[] = {1, 0}, one_if_1[] = {0, 1}, sides[] = {1, -1};
  struct Couples {
    Vec<T> sum[4], difference[4];
  };

  int first(int group) const { return group == 0 ? 0 : patterns_.group_end[group - 1]; }
  static int sign(const SignColumn& column, std::uint32_t run) { return __builtin_parity(column.run_bits & run); }
  static constexpr int low_sign(int j, int group) { return ((j & group) ^ ((j & group) >> 1)) & 1; }

  void invert(std::uint32_t run, Inverses& inverse) const {
    Vec<T> sum[4][2];
    for (int group = 0; group < 4; ++group) {
      Vec<T> plus{}, minus{};
      for (int i = first(group); i < patterns_.group_end[group]; ++i) {
        const SignColumn& column = patterns_.columns[i];
        const int s = sign(column, run);
        plus += part_[column.direction] * one_if_0[s], minus += part_[column.direction] * one_if_1[s];
      }
      sum[group][0] = plus, sum[group][1] = minus;
    }
    // the smallest normal number stands for 0, so that nothing is divided by it
    const T least = std::is_same_v<T, float> ? T(1.17549435e-38) : T(2.2250738585072014e-308);
    for (int j = 0; j < 4; ++j) {
      Vec<T> on[2];
      for (int s = 0; s < 2; ++s) {
        on[s] = (sum[0][s] + sum[1][s ^ low_sign(j, 1)]) + (sum[2][s ^ low_sign(j, 2)] + sum[3][s ^ low_sign(j, 3)]);
        on[s] = on[s] < least ? broadcast(least) : on[s];
      }
      const Vec<T> of_both = T(1) / (on[0] * on[1]);
      inverse[0][j] = on[1] * of_both, inverse[1][j] = on[0] * of_both;
    }
  }

  template <int group>
  void add(std::uint32_t run, const Inverses& inverse, Couples& rec) const {
    for (int i = first(group); i < patterns_.group_end[group]; ++i) {
      const SignColumn& column = patterns_.columns[i];
      const int s = sign(column, run);
      const Vec<T>* const of[] = {inverse[s], inverse[1 - s]};
      const Vec<T> p = share_[column.direction], d = part_[column.direction], side = broadcast(sides[s]);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const Vec<T> q = d * of[low_sign(j, group)][j], both = p < q ? p : q;
        rec.sum[j] += both;
        rec.difference[j] += low_sign(j, group) ? -both * side : both * side;
      }
    }
  }

  const SignPatterns& patterns_;
  const Vec<T>*share_, *part_;
};

// `part`: [k], to work in. A direction beyond the last one that is not zero is none: lanes of different ranks take the
// patterns of their own.
template <class T>
inline SignChance<T> sign_chance(const SignPatterns* patterns, const Vec<T>* s1, const Vec<T>* share, Vec<T> sum1,
                                 const Vec<T>* d, int64_t k, Vec<T>* part) {
  Vec<T> total{}, rank{};
  for (int64_t i = 0; i < k; ++i) {
    part[i] = absolute<T>(d[i]);
    total += part[i];
    rank = (s1[i] == T(0)) & (part[i] == T(0)) ? rank : broadcast(T(i + 1));
  }
  for (int64_t i = 0; i < k; ++i) part[i] /= total;
  SignChance<T> found;
  for (;;) {
    T most = -1;
    for (int lane = 0; lane < lanes<T>; ++lane) most = larger(most, rank[lane]);
    if (most < 0) break;
    const SignPatterns* chosen = patterns;
    while (T(chosen->most) < most) ++chosen;
    const SignChance<T> chance = SignRuns<T>(*chosen, share, part).chance();
    const auto taken = rank >= T(chosen->least);
    found.mean = taken ? chance.mean : found.mean, found.sd = taken ? chance.sd : found.sd;
    rank = taken ? broadcast(T(-1)) : rank;
  }
  const Vec<T> known = T(0) * (sum1 + total);  // NaN stays
  const auto zero = (sum1 == T(0)) | (total == T(0));
  return {zero ? known : found.mean + known, zero ? known : found.sd + known};
}

}  // namespace taskvec::TASKVEC_LEVEL
