// One-sided Jacobi on the rows of a matrix. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/lowrank/turn_sets.h"

namespace taskvec::TASKVEC_LEVEL {

constexpr int two_sets = 2 * set_size;  // rows whose pairs are rotated one by one, before sets are

// Orthogonalises `count` disjoint pairs (p[k], q[k]), all roots before all rotations, so that a core waits for none.
template <int max_pairs>
inline bool turn_pairs(const Turning& t, const int64_t* p, const int64_t* q, int count) {
  double g[max_pairs], c[max_pairs], s[max_pairs];
  bool due[max_pairs], any = false;
  for (int k = 0; k < count; ++k) g[k] = dot(t.X + p[k] * t.ld, t.X + q[k] * t.ld, t.ld);
  for (int k = 0; k < count; ++k) {
    const double a = t.squares[p[k]], b = t.squares[q[k]];
    due[k] = rotation_due(a, b, g[k], t.negligible, t.tolerance);
    any |= due[k];
    const Rotation turn = rotation(a, b, g[k]);
    c[k] = turn.c, s[k] = turn.s;
  }
  for (int k = 0; k < count; ++k) {
    if (!due[k]) continue;
    for (double* matrix : {t.X, t.Z}) {
      if (matrix == nullptr) continue;
      double *u = matrix + p[k] * t.ld, *v = matrix + q[k] * t.ld;
      for (int64_t i = 0; i < t.ld; i += lanes_f64) {
        const VecF64 old_u = load(u + i), old_v = load(v + i);
        store(u + i, c[k] * old_u - s[k] * old_v);
        store(v + i, s[k] * old_u + c[k] * old_v);
      }
    }
    double &a = t.squares[p[k]], &b = t.squares[q[k]];
    const double both = a + b, twice = 2 * c[k] * s[k] * g[k], cc = c[k] * c[k], ss = s[k] * s[k],
                 new_a = cc * a - twice + ss * b;
    b = ss * a + twice + cc * b, a = new_a;
    // of what cancelled no digit is known
    if (a < 0.01 * both) a = dot(t.X + p[k] * t.ld, t.X + p[k] * t.ld, t.ld);
    if (digits_lost(b, both)) b = dot(t.X + q[k] * t.ld, t.X + q[k] * t.ld, t.ld);
  }
  return any;
}

// Every pair of rows from `first` to `last`, in disjoint sets of pairs.
inline bool turn_within(const Turning& t, int64_t first, int64_t last) {
  bool rotated = false;
  for (int64_t p0 = first; p0 < last; p0 += set_size) {
    const int64_t p1 = smaller(p0 + set_size, last);
    for (int64_t p = p0; p < p1; ++p) {
      for (int64_t q = p + 1; q < p1; ++q) rotated |= turn_pairs<1>(t, &p, &q, 1);
    }
    for (int64_t q0 = p1; q0 < last; q0 += set_size) {
      for (int shift = 0; shift < set_size; ++shift) {
        int64_t p[set_size], q[set_size];
        int count = 0;
        for (int k = 0; k < set_size; ++k) {
          p[count] = p0 + k, q[count] = q0 + (k + shift) % set_size;
          count += q[count] < last;
        }
        rotated |= turn_pairs<set_size>(t, p, q, count);
      }
    }
  }
  return rotated;
}

constexpr int64_t jacobi_work(int64_t n) { return (1 + set_size) * round_up(n, two_sets); }

// Rotates until the rows of X are orthogonal, and the rows of Z, which may be null, with them. Both are [n, ld], and
// have zero rows up to a multiple of eight.
inline void orthogonalise_rows(double* X, double* Z, double* work, int64_t n, int64_t ld) {
  const int64_t rows = round_up(n, two_sets);
  Turning t{X, Z, work, work + rows, ld, orthogonal_square(n), 0};
  for (int sweep = 0; sweep < most_sweeps; ++sweep) {
    double largest = 0;
    for (int64_t i = 0; i < n; ++i)
      t.squares[i] = dot(X + i * ld, X + i * ld, ld), largest = larger(largest, t.squares[i]);
    t.negligible = largest * negligible_square;
    bool rotated = false;
    for (int64_t first = 0; first < n; first += two_sets)
      rotated |= turn_within(t, first, smaller(first + two_sets, n));
    for (int64_t first = 0; rows > two_sets && first < rows; first += set_size) set_gram(t, first);
    for (int64_t p = 0; p < rows; p += two_sets) {
      for (int64_t q = p + two_sets; q < rows; q += two_sets) {
        rotated |= turn_sets(t, {p, p + set_size}, {q, q + set_size});
        rotated |= turn_sets(t, {p, p + set_size}, {q + set_size, q});
      }
    }
    if (!rotated) return;
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
