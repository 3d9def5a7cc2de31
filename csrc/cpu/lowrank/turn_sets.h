// Jacobi rotations of rows, four against four at a time. Part of one SIMD level, see vec.h.
//
// The sixteen rotations of two sets of four rows are found on their 8 × 8 Gram matrix and applied at once, as a product
// that stays in registers: an element is read once instead of four times. Two such steps of disjoint rows share each
// vector, so that a core has something to do while it waits for roots and quotients.
#pragma once

#include "cpu/lowrank/dense.h"

namespace taskvec::TASKVEC_LEVEL {

constexpr int set_size = 4;       // rows of a set
constexpr int steps_at_once = 2;  // at once

typedef double Quad __attribute__((vector_size(set_size * sizeof(double))));
typedef double Quads __attribute__((vector_size(steps_at_once * set_size * sizeof(double))));  // a quad of each step

using QuadsLanes = std::make_integer_sequence<int, steps_at_once * set_size>;

inline Quads roots(Quads x) {
  for (int lane = 0; lane < steps_at_once * set_size; ++lane) x[lane] = __builtin_sqrt(x[lane]);
  return x;
}

template <int... E>
inline Quads join(Quad a, Quad b, std::integer_sequence<int, E...>) {
  return __builtin_shufflevector(a, b, E...);
}

// Lane K of each quad, in all of its lanes.
template <int K, int... E>
inline Quads splat(Quads v, std::integer_sequence<int, E...>) {
  return __builtin_shufflevector(v, v, (E / set_size * set_size + K)...);
}

template <int... E>
inline Quads next_lane(Quads v, std::integer_sequence<int, E...>) {
  return __builtin_shufflevector(v, v, (E / set_size * set_size + (E + 1) % set_size)...);
}

template <int K, int... E>
inline Quads with_lane(Quads v, Quads other, std::integer_sequence<int, E...>) {
  return __builtin_shufflevector(v, other, (E % set_size == K ? steps_at_once * set_size + E : E)...);
}

inline Quads diagonal(Quads r0, Quads r1, Quads r2, Quads r3) {
  constexpr QuadsLanes all{};
  return with_lane<3>(with_lane<2>(with_lane<1>(r0, r1, all), r2, all), r3, all);
}

// Rows of the Gram matrix of two sets of rows, of two steps: lanes of `left` belong to the first set, of `right` to the
// second. And those of the rotation, which starts as the identity.
struct Steps {
  Quads left[2 * set_size], right[2 * set_size], turn_left[2 * set_size], turn_right[2 * set_size];
};

// The rows of X whose products are driven to zero, and those of Z, if any, that turn with them; of X, the squares of
// the rows and the Gram matrix of each set, [4, 4].
struct Turning {
  double *X, *Z, *squares, *grams;
  int64_t ld;
  double tolerance, negligible;
};

inline auto pairs_due(Quads a, Quads b, Quads g, const Turning& t) {
  return rotation_due(a, b, g, t.negligible, t.tolerance);
}

// Round R of four: row k of the first set with row (k + R) % 4 of the second, whose lanes have moved R places to the
// left.
template <int R>
inline void turn(Steps& s, const Turning& t) {
  constexpr QuadsLanes all{};
  constexpr int q0 = set_size + R % set_size, q1 = set_size + (1 + R) % set_size, q2 = set_size + (2 + R) % set_size,
                q3 = set_size + (3 + R) % set_size;
  const Quads a = diagonal(s.left[0], s.left[1], s.left[2], s.left[3]),
              b = diagonal(s.right[q0], s.right[q1], s.right[q2], s.right[q3]),
              g = diagonal(s.right[0], s.right[1], s.right[2], s.right[3]);
  const auto due = pairs_due(a, b, g, t);
  const Quads gap = b < a ? a - b : b - a, h = roots(gap * gap + 4 * g * g), sum = h + gap;
  const Quads cosine = roots(sum / (2 * h)), sine = (b < a ? -2 * g : 2 * g) / sum * cosine;
  const Quads c = due ? cosine : Quads{} + 1, n = due ? sine : Quads{};
  auto rotate = [](Quads c, Quads n, Quads& x, Quads& y) {
    const Quads old = x;
    x = c * old - n * y, y = n * old + c * y;
  };
  auto rotate_rows = [&](auto k) {
    constexpr int K = decltype(k)::value, q = set_size + (K + R) % set_size;
    const Quads ck = splat<K>(c, all), nk = splat<K>(n, all);
    rotate(ck, nk, s.left[K], s.left[q]), rotate(ck, nk, s.right[K], s.right[q]);
    rotate(ck, nk, s.turn_left[K], s.turn_left[q]), rotate(ck, nk, s.turn_right[K], s.turn_right[q]);
  };
  rotate_rows(Int<0>{}), rotate_rows(Int<1>{}), rotate_rows(Int<2>{}), rotate_rows(Int<3>{});
#pragma GCC unroll 8
  for (int i = 0; i < 2 * set_size; ++i) {
    rotate(c, n, s.left[i], s.right[i]);
    s.right[i] = next_lane(s.right[i], all);
  }
}

// rows = turn · rows, [8, ld], N vectors at a time from column p on; returns where it ends.
template <int N>
inline int64_t apply_turn(const double* turn, double* const* rows, int64_t p, int64_t ld) {
  double *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3], *r4 = rows[4], *r5 = rows[5], *r6 = rows[6],
         *r7 = rows[7];
  for (; p + N * lanes_f64 <= ld; p += N * lanes_f64) {
    double* const r[2 * set_size] = {r0 + p, r1 + p, r2 + p, r3 + p, r4 + p, r5 + p, r6 + p, r7 + p};
    VecF64 in[2 * set_size][N];
#pragma GCC unroll 8
    for (int i = 0; i < 2 * set_size; ++i) {
#pragma GCC unroll 2
      for (int k = 0; k < N; ++k) in[i][k] = load(r[i] + k * lanes_f64);
    }
#pragma GCC unroll 2
    for (int first = 0; first < 2 * set_size; first += set_size) {
      VecF64 out[set_size][N];
#pragma GCC unroll 8
      for (int j = 0; j < 2 * set_size; ++j) {
#pragma GCC unroll 4
        for (int i = 0; i < set_size; ++i) {
          const VecF64 factor = broadcast(turn[(first + i) * 2 * set_size + j]);
#pragma GCC unroll 2
          for (int k = 0; k < N; ++k) out[i][k] = j == 0 ? factor * in[j][k] : out[i][k] + factor * in[j][k];
        }
      }
#pragma GCC unroll 4
      for (int i = 0; i < set_size; ++i) {
#pragma GCC unroll 2
        for (int k = 0; k < N; ++k) store(r[first + i] + k * lanes_f64, out[i][k]);
      }
    }
  }
  return p;
}

// Not inlined, or all factors would be made vectors before the loop, and pushed out to memory.
__attribute__((noinline)) inline void apply_turn(const double* turn, double* const* rows, int64_t ld) {
  constexpr int N = TASKVEC_VECTOR_BYTES == 64 ? 2 : 1;
  apply_turn<1>(turn, rows, apply_turn<N>(turn, rows, 0, ld), ld);
}

inline void rows_of(double* matrix, int64_t first, int64_t ld, double** rows) {
#pragma GCC unroll 4
  for (int k = 0; k < set_size; ++k) rows[k] = matrix + (first + k) * ld;
}

inline void set_gram(const Turning& t, int64_t first) {
  double* x[set_size];
  rows_of(t.X, first, t.ld, x);
  cross_products(x, x, t.ld, t.grams + first * set_size);
}

// Rotates every row of one set with every row of another, in two steps that share no row: sets p[0], q[0] and p[1],
// q[1], each named by its first row. False when no pair was due.
inline bool turn_sets(const Turning& t, const int64_t (&p)[steps_at_once], const int64_t (&q)[steps_at_once]) {
  constexpr QuadsLanes all{};
  Steps s;
  Quad first[steps_at_once][set_size], second[steps_at_once][set_size], cross[steps_at_once][set_size];
#pragma GCC unroll 2
  for (int h = 0; h < steps_at_once; ++h) {
    double *x[set_size], *y[set_size];
    rows_of(t.X, p[h], t.ld, x), rows_of(t.X, q[h], t.ld, y);
    cross_products(x, y, t.ld, reinterpret_cast<double*>(cross[h]));
    __builtin_memcpy(first[h], t.grams + p[h] * set_size, sizeof first[h]);
    __builtin_memcpy(second[h], t.grams + q[h] * set_size, sizeof second[h]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < set_size; ++i) {
    s.left[i] = join(first[0][i], first[1][i], all), s.right[i] = join(cross[0][i], cross[1][i], all);
    s.right[set_size + i] = join(second[0][i], second[1][i], all);
  }
  const Quads a = diagonal(s.left[0], s.left[1], s.left[2], s.left[3]),
              b = diagonal(s.right[4], s.right[5], s.right[6], s.right[7]);
  auto due = pairs_due(splat<0>(a, all), b, s.right[0], t);
  due |= pairs_due(splat<1>(a, all), b, s.right[1], t);
  due |= pairs_due(splat<2>(a, all), b, s.right[2], t);
  due |= pairs_due(splat<3>(a, all), b, s.right[3], t);
  int64_t any = 0;
#pragma GCC unroll 8
  for (int j = 0; j < steps_at_once * set_size; ++j) any |= due[j];
  if (any == 0) return false;

#pragma GCC unroll 2
  for (int h = 0; h < steps_at_once; ++h) transpose_stage<set_size / 2, set_size>(cross[h]);
#pragma GCC unroll 8
  for (int i = 0; i < 2 * set_size; ++i) {
    if (i >= set_size) s.left[i] = join(cross[0][i % set_size], cross[1][i % set_size], all);
    Quads one{};
    one[i % set_size] = one[set_size + i % set_size] = 1;
    s.turn_left[i] = i < set_size ? one : Quads{}, s.turn_right[i] = i < set_size ? Quads{} : one;
  }
  turn<0>(s, t), turn<1>(s, t), turn<2>(s, t), turn<3>(s, t);

  constexpr int64_t quad = sizeof(Quad);
  for (int h = 0; h < steps_at_once; ++h) {
    auto quad_of = [h](const Quads& v) { return reinterpret_cast<const char*>(&v) + h * quad; };
    alignas(64) double turn[2 * set_size][2][set_size];
    for (int i = 0; i < 2 * set_size; ++i) {
      __builtin_memcpy(turn[i][0], quad_of(s.turn_left[i]), quad),
          __builtin_memcpy(turn[i][1], quad_of(s.turn_right[i]), quad);
    }
    for (double* matrix : {t.X, t.Z}) {
      if (matrix == nullptr) continue;
      double* rows[2 * set_size];
      rows_of(matrix, p[h], t.ld, rows), rows_of(matrix, q[h], t.ld, rows + set_size);
      apply_turn(turn[0][0], rows, t.ld);
    }
    for (int side = 0; side < 2; ++side) {
      const int64_t row = side == 0 ? p[h] : q[h];
      bool cancelled = false;
      for (int i = 0; i < set_size; ++i) {
        double* gram = t.grams + (row + i) * set_size;
        const double before = gram[i];
        __builtin_memcpy(gram, quad_of(side == 0 ? s.left[i] : s.right[set_size + i]), quad);
        cancelled |= digits_lost(gram[i], before);
      }
      if (cancelled) set_gram(t, row);
    }
  }
  return true;
}

}  // namespace taskvec::TASKVEC_LEVEL
