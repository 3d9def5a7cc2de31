// fp64 linear algebra of r × r matrices, rows `ld` apart, `ld` a multiple of the lanes. Part of one SIMD level, see
// vec.h.
#pragma once

#include "numerics/rules.h"
#include "simd/vec.h"

namespace taskvec::TASKVEC_LEVEL {

constexpr int lanes_f64 = lanes<double>;
using VecF64 = Vec<double>;

template <int K>
struct Int {
  static constexpr int value = K;
};

inline double dot(const double* x, const double* y, int64_t n) {  // n a multiple of L
  VecF64 sum{}, other{};  // two, so that one addition need not wait for the last
  int64_t i = 0;
  for (; i + 2 * lanes_f64 <= n; i += 2 * lanes_f64)
    sum += load(x + i) * load(y + i), other += load(x + i + lanes_f64) * load(y + i + lanes_f64);
  if (i < n) sum += load(x + i) * load(y + i);
  return horizontal_sum<double>(sum + other);
}

// Whether a sum of squares that was updated has lost its digits, because most of it cancelled: it is summed again.
inline bool digits_lost(double left, double before) { return left < 0.01 * before; }

inline void axpy(double alpha, const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; i += lanes_f64) store(y + i, load(y + i) + alpha * load(x + i));
}

inline void fill(double* x, int64_t n, double value) {
  for (int64_t i = 0; i < n; ++i) x[i] = value;
}

inline void copy(const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = x[i];
}

// B = Aᵀ, [ld, ld].
inline void transpose(const double* A, double* B, int64_t ld) {
  for (int64_t i = 0; i < ld; i += lanes_f64) {
    for (int64_t j = 0; j < ld; j += lanes_f64) transpose_block(A + i * ld + j, ld, B + j * ld + i, ld);
  }
}

// C = A · B, all [ld, ld], four rows at a time.
inline void multiply(const double* A, const double* B, double* C, int64_t ld) {
  constexpr int N = TASKVEC_VECTOR_BYTES == 64 ? 4 : 2;
  auto tile = [&](int64_t i, int64_t j, auto vectors) {
    constexpr int W = decltype(vectors)::value;
    VecF64 acc[4][W];
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) {
#pragma GCC unroll 4
      for (int v = 0; v < W; ++v) acc[s][v] = VecF64{};
    }
    for (int64_t l = 0; l < ld; ++l) {
#pragma GCC unroll 4
      for (int v = 0; v < W; ++v) {
        const VecF64 b = load(B + l * ld + j + v * lanes_f64);
#pragma GCC unroll 4
        for (int s = 0; s < 4; ++s) acc[s][v] += A[(i + s) * ld + l] * b;
      }
    }
#pragma GCC unroll 4
    for (int s = 0; s < 4; ++s) {
#pragma GCC unroll 4
      for (int v = 0; v < W; ++v) store(C + (i + s) * ld + j + v * lanes_f64, acc[s][v]);
    }
  };
  for (int64_t i = 0; i < ld; i += 4) {
    int64_t j = 0;
    for (; j + N * lanes_f64 <= ld; j += N * lanes_f64) tile(i, j, Int<N>{});
    for (; j < ld; j += lanes_f64) tile(i, j, Int<1>{});
  }
}

// Cholesky factor U of C = Uᵀ U in place, upper: below it nothing is read, and nothing kept. False when a pivot is not
// clearly positive.
inline bool cholesky(double* C, int64_t n, int64_t ld) {
  for (int64_t j = 0; j < n; ++j) {
    double* row = C + j * ld;
    if (!positive_pivot(row[j], n)) return false;  // of a matrix with unit diagonal
    const int64_t start = j / lanes_f64 * lanes_f64;
    const double scale = 1 / __builtin_sqrt(row[j]);
    for (int64_t i = start; i < ld; ++i) row[i] *= scale;
    for (int64_t i = j + 1; i < n; ++i) {
      const int64_t from = i / lanes_f64 * lanes_f64;
      axpy(-row[i], row + from, C + i * ld + from, ld - from);
    }
  }
  return true;
}

// Inverse of Uᵀ, and ‖·‖_F² of it.
inline double invert_transposed(const double* U, double* inverse, int64_t n, int64_t ld) {
  fill(inverse, n * ld, 0);
  double squares = 0;
  for (int64_t j = 0; j < n; ++j) {
    double* row = inverse + j * ld;
    for (int64_t i = 0; i < j; ++i) axpy(-U[i * ld + j], inverse + i * ld, row, round_up(i + 1, lanes_f64));
    row[j] = 1;
    const double pivot = 1 / U[j * ld + j];
    for (int64_t i = 0; i <= j; ++i) row[i] *= pivot;
    squares += dot(row, row, ld);
  }
  return squares;
}

// x[0][k] = sum of the lanes of x[k].
template <int H = lanes_f64 / 2>
inline void sum_lanes(VecF64* x) {
  if constexpr (H >= 1) {
    using Lanes = std::make_integer_sequence<int, lanes_f64>;
#pragma GCC unroll 8
    for (int i = 0; i < H; ++i) x[i] = take_low<H>(x[i], x[i + H], Lanes{}) + take_high<H>(x[i], x[i + H], Lanes{});
    sum_lanes<H / 2>(x);
  }
}

// products[i][j] = x_i · y_j. With `same` x is y: where j >= i, zeros elsewhere.
template <bool same = false>
__attribute__((noinline)) inline void cross_products(const double* const* x, const double* const* y, int64_t ld,
                                                     double* products) {
  VecF64 acc[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) acc[i] = VecF64{};
  for (int64_t p = 0; p < ld; p += lanes_f64) {
    VecF64 u[4], v[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) u[i] = load(x[i] + p), v[i] = same ? u[i] : load(y[i] + p);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      if (!same || i / 4 <= i % 4) acc[i] += u[i / 4] * v[i % 4];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += lanes_f64) {
    sum_lanes(acc + i);
    store(products + i, acc[i]);
  }
}

// C = A · Bᵀ, all [ld, ld].
inline void multiply_transposed(const double* A, const double* B, double* C, int64_t ld) {
  for (int64_t i = 0; i < ld; i += 4) {
    for (int64_t j = 0; j < ld; j += 4) {
      const double *x[4], *y[4];
      double products[16];
      for (int k = 0; k < 4; ++k) x[k] = A + (i + k) * ld, y[k] = B + (j + k) * ld;
      cross_products(x, y, ld, products);
      for (int k = 0; k < 16; ++k) C[(i + k / 4) * ld + j + k % 4] = products[k];
    }
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
