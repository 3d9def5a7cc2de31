// Householder QR in fp64 of matrices that lie by columns. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/lowrank/dense.h"

namespace taskvec::TASKVEC_LEVEL {

// x_k −= beta (v · x_k) v for N vectors of `length`, whose entries before `from`, a multiple of the lanes, v does not
// change.
template <int N>
inline void reflect(double beta, const double* v, double* const* x, int64_t from, int64_t length) {
  VecF64 sums[N];
#pragma GCC unroll 4
  for (int k = 0; k < N; ++k) sums[k] = VecF64{};
  for (int64_t i = from; i < length; i += lanes_f64) {
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k) sums[k] += load(v + i) * load(x[k] + i);
  }
  double factor[N];
#pragma GCC unroll 4
  for (int k = 0; k < N; ++k) factor[k] = -beta * horizontal_sum<double>(sums[k]);
  for (int64_t i = from; i < length; i += lanes_f64) {
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k) store(x[k] + i, load(x[k] + i) + factor[k] * load(v + i));
  }
}

// f(N, columns) for columns [first, last) of a matrix, N = 4 at a time: one product need not wait for another.
template <class F>
inline void by_fours(double* matrix, int64_t first, int64_t last, int64_t ld, F&& f) {
  int64_t j = first;
  for (; j + 4 <= last; j += 4) {
    double* const columns[4] = {matrix + j * ld, matrix + (j + 1) * ld, matrix + (j + 2) * ld, matrix + (j + 3) * ld};
    f(Int<4>{}, columns);
  }
  for (; j < last; ++j) {
    double* const columns[1] = {matrix + j * ld};
    f(Int<1>{}, columns);
  }
}

// ColumnMatrix `ld` apart, each of `length` entries: a multiple of the lanes, zeros at the end.
struct ColumnMatrix {
  double* data;
  int64_t count, length, ld;

  double* operator[](int64_t j) const { return data + j * ld; }

  // ColumnMatrix [first, last) by the reflector I − beta v vᵀ, whose v is zero before entry t.
  void reflect_by(double beta, const double* v, int64_t t, int64_t first, int64_t last) const {
    by_fours(data, first, last, ld, [&](auto n, double* const* columns) {
      reflect<decltype(n)::value>(beta, v, columns, t / lanes_f64 * lanes_f64, length);
    });
  }
};

struct Reflection {
  double alpha, beta;
};

// Turns x, zero before entry t, into the v of the reflector that takes it to alpha e_t.
inline Reflection make_reflector(double* x, int64_t t, int64_t length) {
  const double size = __builtin_sqrt(dot(x, x, length)), alpha = x[t] > 0 ? -size : size;
  x[t] -= alpha;
  const double square = dot(x, x, length);
  return {alpha, square > 0 ? 2 / square : 0};
}

inline void swap_rows(double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double old = x[i];
    x[i] = y[i], y[i] = old;
  }
}

// ‖·‖² of what is left of the columns of M, and what it was when it was last summed.
struct LeftSquares {
  const ColumnMatrix& M;
  double *now, *summed;

  void sum(int64_t j) const { now[j] = summed[j] = dot(M[j], M[j], M.length); }
  void take_off(int64_t j, double finished) const {
    now[j] -= finished * finished;
    if (digits_lost(now[j], summed[j])) sum(j);
  }
  int64_t largest(int64_t first) const {
    int64_t found = first;
    for (int64_t j = first + 1; j < M.count; ++j) {
      if (now[j] > now[found]) found = j;
    }
    return found;
  }
  void swap(int64_t i, int64_t j) const { swap_rows(now + i, now + j, 1), swap_rows(summed + i, summed + j, 1); }
};

// M P = H R of a square M, by one reflector a step, which M keeps; R gets its rows, [ld, ld], P is `order`. work: 2 n.
inline void pivoted_qr(const ColumnMatrix& M, double* R, double* beta, double* order, double* work) {
  const int64_t n = M.count, ld = M.ld;
  const LeftSquares left{M, work, work + n};
  fill(R, ld * ld, 0);
  for (int64_t j = 0; j < n; ++j) order[j] = double(j), left.sum(j);
  for (int64_t t = 0; t < n; ++t) {
    const int64_t pivot = left.largest(t);
    if (pivot != t) {
      swap_rows(M[t], M[pivot], ld);
      for (int64_t i = 0; i < t; ++i)
        swap_rows(R + i * ld + t, R + i * ld + pivot, 1);  // the finished part moves with its column
      swap_rows(order + t, order + pivot, 1), left.swap(t, pivot);
    }
    const Reflection step = make_reflector(M[t], t, ld);
    R[t * ld + t] = step.alpha, beta[t] = step.beta;
    M.reflect_by(beta[t], M[t], t, t + 1, n);
    for (int64_t j = t + 1; j < n; ++j) {
      R[t * ld + j] = M[j][t], M[j][t] = 0;
      left.take_off(j, R[t * ld + j]);
    }
  }
}

// M = Q R of a tall or wide M that becomes Q, zero beyond as many columns as M has rows; R gets its rows, [ld, ld].
// beta: M.count.
inline void qr_in_place(const ColumnMatrix& M, int64_t rows, double* R, double* beta, int64_t ld) {
  const int64_t steps = smaller(M.count, rows);
  fill(R, ld * ld, 0);
  for (int64_t t = 0; t < steps; ++t) {
    const Reflection step = make_reflector(M[t], t, M.length);
    R[t * ld + t] = step.alpha, beta[t] = step.beta;
    M.reflect_by(beta[t], M[t], t, t + 1, M.count);
    for (int64_t j = t + 1; j < M.count; ++j) R[t * ld + j] = M[j][t], M[j][t] = 0;
  }
  // column t of Q is e_t through reflectors t, …, 0: the last one first, where its reflector was
  for (int64_t j = steps; j < M.count; ++j) fill(M[j], M.length, 0);
  for (int64_t t = steps - 1; t >= 0; --t) {
    double* v = M[t];
    M.reflect_by(beta[t], v, t, t + 1, steps);
    const double factor = -beta[t] * v[t];
    for (int64_t i = 0; i < M.length; ++i) v[i] *= factor;
    v[t] += 1;
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
