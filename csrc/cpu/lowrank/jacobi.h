// One-sided Jacobi on the rows of a matrix. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/lowrank/turn_sets.h"

namespace taskvec::TASKVEC_LEVEL {

constexpr int eight = 2 * set;

// Orthogonalises `count` disjoint pairs (p[k], q[k]), all roots before all rotations, so that a core waits for none.
template <int most>
inline bool turn_pairs(const Turning& t, const int64_t* p, const int64_t* q, int count) {
  double g[most], c[most], s[most];
  bool due[most], any = false;
  for (int k = 0; k < count; ++k) g[k] = dot(t.X + p[k] * t.ld, t.X + q[k] * t.ld, t.ld);
  for (int k = 0; k < count; ++k) {
    const double a = t.squares[p[k]], b = t.squares[q[k]];
    due[k] = a > t.negligible && b > t.negligible && g[k] * g[k] > t.tolerance * a * b;
    any |= due[k];
    const Rotation turn = rotation(a, b, g[k]);
    c[k] = turn.c, s[k] = turn.s;
  }
  for (int k = 0; k < count; ++k) {
    if (!due[k]) continue;
    for (double* matrix : {t.X, t.Z}) {
      if (matrix == nullptr) continue;
      double *u = matrix + p[k] * t.ld, *v = matrix + q[k] * t.ld;
      for (int64_t i = 0; i < t.ld; i += L) {
        const V old_u = load(u + i), old_v = load(v + i);
        store(u + i, c[k] * old_u - s[k] * old_v);
        store(v + i, s[k] * old_u + c[k] * old_v);
      }
    }
    double &a = t.squares[p[k]], &b = t.squares[q[k]];
    const double both = a + b, twice = 2 * c[k] * s[k] * g[k], cc = c[k] * c[k], ss = s[k] * s[k], new_a = cc * a - twice + ss * b;
    b = ss * a + twice + cc * b, a = new_a;
    // of what cancelled no digit is known
    if (a < 0.01 * both) a = dot(t.X + p[k] * t.ld, t.X + p[k] * t.ld, t.ld);
    if (b < 0.01 * both) b = dot(t.X + q[k] * t.ld, t.X + q[k] * t.ld, t.ld);
  }
  return any;
}

// Every pair of rows from `first` to `last`, in disjoint sets of pairs.
inline bool turn_within(const Turning& t, int64_t first, int64_t last) {
  bool rotated = false;
  for (int64_t p0 = first; p0 < last; p0 += set) {
    const int64_t p1 = smaller(p0 + set, last);
    for (int64_t p = p0; p < p1; ++p) {
      for (int64_t q = p + 1; q < p1; ++q) rotated |= turn_pairs<1>(t, &p, &q, 1);
    }
    for (int64_t q0 = p1; q0 < last; q0 += set) {
      for (int shift = 0; shift < set; ++shift) {
        int64_t p[set], q[set];
        int count = 0;
        for (int k = 0; k < set; ++k) {
          p[count] = p0 + k, q[count] = q0 + (k + shift) % set;
          count += q[count] < last;
        }
        rotated |= turn_pairs<set>(t, p, q, count);
      }
    }
  }
  return rotated;
}

constexpr int64_t jacobi_work(int64_t n) { return (1 + set) * round_up(n, eight); }

// Rotates until the rows of X are orthogonal, and the rows of Z, which may be null, with them. Both are [n, ld], and have zero
// rows up to a multiple of eight.
inline void orthogonalise_rows(double* X, double* Z, double* work, int64_t n, int64_t ld) {
  const int64_t rows = round_up(n, eight);
  Turning t{X, Z, work, work + rows, ld, orthogonal_square(n), 0};
  for (int sweep = 0; sweep < most_sweeps; ++sweep) {
    double largest = 0;
    for (int64_t i = 0; i < n; ++i) t.squares[i] = dot(X + i * ld, X + i * ld, ld), largest = larger(largest, t.squares[i]);
    t.negligible = largest * negligible_square;
    bool rotated = false;
    for (int64_t first = 0; first < n; first += eight) rotated |= turn_within(t, first, smaller(first + eight, n));
    for (int64_t first = 0; rows > eight && first < rows; first += set) set_gram(t, first);
    for (int64_t p = 0; p < rows; p += eight) {
      for (int64_t q = p + eight; q < rows; q += eight) {
        rotated |= turn_sets(t, {p, p + set}, {q, q + set});
        rotated |= turn_sets(t, {p, p + set}, {q + set, q});
      }
    }
    if (!rotated) return;
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
