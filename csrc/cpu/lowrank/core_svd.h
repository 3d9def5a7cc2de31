// SVD of an r × r matrix in fp64. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/lowrank/jacobi.h"

namespace taskvec::TASKVEC_LEVEL {

// From this size on the rows are rotated alone at first: half the work, and half the memory it goes through.
constexpr int64_t alone_from = 32;

constexpr int64_t svd_work(int64_t n, int64_t ld) { return 2 * ld * ld + 3 * n + jacobi_work(n); }

// x_k −= beta (v · x_k) v for N vectors, whose entries before `from`, a multiple of the lanes, v does not change.
template <int N>
inline void reflect(double beta, const double* v, double* const* x, int64_t from, int64_t ld) {
  V sums[N];
#pragma GCC unroll 4
  for (int k = 0; k < N; ++k) sums[k] = V{};
  for (int64_t i = from; i < ld; i += L) {
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k) sums[k] += load(v + i) * load(x[k] + i);
  }
  double factor[N];
#pragma GCC unroll 4
  for (int k = 0; k < N; ++k) factor[k] = -beta * horizontal_sum<double>(sums[k]);
  for (int64_t i = from; i < ld; i += L) {
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k) store(x[k] + i, load(x[k] + i) + factor[k] * load(v + i));
  }
}

// f(N, rows) for rows [first, last) of a matrix, N = 4 at a time: one product need not wait for another.
template <class F>
inline void by_fours(double* matrix, int64_t first, int64_t last, int64_t ld, F&& f) {
  int64_t j = first;
  for (; j + 4 <= last; j += 4) {
    double* const rows[4] = {matrix + j * ld, matrix + (j + 1) * ld, matrix + (j + 2) * ld, matrix + (j + 3) * ld};
    f(Int<4>{}, rows);
  }
  for (; j < last; ++j) {
    double* const rows[1] = {matrix + j * ld};
    f(Int<1>{}, rows);
  }
}

inline void swap_rows(double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double old = x[i];
    x[i] = y[i], y[i] = old;
  }
}

// M P = H R by one reflector a step; M, by columns [n, ld], keeps the reflectors, R gets its rows, P is `order`. work: 2 n.
inline void pivoted_qr(double* M, double* R, double* beta, double* order, double* work, int64_t n, int64_t ld) {
  double *squares = work, *known = work + n;  // of what is left of the columns, and when they were last summed
  fill(R, ld * ld, 0);
  for (int64_t j = 0; j < n; ++j) order[j] = double(j), squares[j] = known[j] = dot(M + j * ld, M + j * ld, ld);
  for (int64_t t = 0; t < n; ++t) {
    int64_t pivot = t;
    for (int64_t j = t + 1; j < n; ++j) {
      if (squares[j] > squares[pivot]) pivot = j;
    }
    if (pivot != t) {
      swap_rows(M + t * ld, M + pivot * ld, ld);
      for (int64_t i = 0; i < t; ++i) swap_rows(R + i * ld + t, R + i * ld + pivot, 1);  // the finished part moves with its column
      swap_rows(order + t, order + pivot, 1), swap_rows(squares + t, squares + pivot, 1), swap_rows(known + t, known + pivot, 1);
    }
    double* v = M + t * ld;
    const double length = __builtin_sqrt(dot(v, v, ld)), alpha = v[t] > 0 ? -length : length;  // entries above row t are zero
    R[t * ld + t] = alpha;
    v[t] -= alpha;
    const double square = dot(v, v, ld);
    beta[t] = square > 0 ? 2 / square : 0;
    by_fours(M, t + 1, n, ld,
             [&](auto count, double* const* columns) { reflect<decltype(count)::value>(beta[t], v, columns, t / L * L, ld); });
    for (int64_t j = t + 1; j < n; ++j) {
      double& finished = M[j * ld + t];
      R[t * ld + j] = finished;
      squares[j] -= finished * finished;
      finished = 0;
      // of what cancelled few digits are known
      if (squares[j] < 0.01 * known[j]) squares[j] = known[j] = dot(M + j * ld, M + j * ld, ld);
    }
  }
}

// SVD of M, given by columns [n, ld] and destroyed: M = W diag(sigma) Zᵀ, sigma descending.
// W and Z come back by columns in `left` and `right` ([ld, ld]); columns of zero sigma may be anything finite.
// work: svd_work(n, ld) doubles.
inline void svd(double* M, double* left, double* right, double* sigma, double* work, int64_t n, int64_t ld) {
  double *X = work, *Z = X + ld * ld, *beta = Z + ld * ld, *order = beta + n, *norms = order + n, *more = norms + n;
  pivoted_qr(M, X, beta, order, more, n, ld);
  // R = J Σ Wᵀ. Jacobi on the rows of R makes them Σ Wᵀ and, of the identity, Jᵀ; on the rows of Wᵀ Rᵀ, which are nearly orthogonal
  // already, it makes them Σ Jᵀ, and improves Wᵀ
  const bool alone = n >= alone_from;
  fill(Z, ld * ld, 0);
  if (alone) {
    double* R = left;
    copy(X, R, ld * ld);
    orthogonalise_rows(X, nullptr, more, n, ld);
    double largest = 0;
    for (int64_t i = 0; i < n; ++i) norms[i] = dot(X + i * ld, X + i * ld, ld), largest = larger(largest, norms[i]);
    for (int64_t i = 0; i < n; ++i) {
      if (norms[i] > largest * negligible_square) axpy(1 / __builtin_sqrt(norms[i]), X + i * ld, Z + i * ld, ld);
    }
    multiply_transposed(Z, R, X, ld);
  } else {
    for (int64_t i = 0; i < n; ++i) Z[i * ld + i] = 1;
  }
  orthogonalise_rows(X, Z, more, n, ld);
  for (int64_t i = 0; i < n; ++i) norms[i] = __builtin_sqrt(dot(X + i * ld, X + i * ld, ld));
  fill(left, n * ld, 0), fill(right, n * ld, 0);
  for (int64_t k = 0; k < n; ++k) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; ++i) {
      if (norms[i] > norms[best]) best = i;
    }
    sigma[k] = norms[best];
    norms[best] = -1;
    const double scale = sigma[k] > 0 ? 1 / sigma[k] : 0;
    const double *u_rows = alone ? X : Z, *v_rows = alone ? Z : X;
    const double u_scale = alone ? scale : 1, v_scale = alone ? 1 : scale;
    double* u = left + k * ld;
    for (int64_t i = 0; i < n; ++i) u[i] = u_rows[best * ld + i] * u_scale;
    for (int64_t j = 0; j < n; ++j) right[k * ld + int64_t(order[j])] = v_rows[best * ld + j] * v_scale;
  }
  by_fours(left, 0, n, ld, [&](auto count, double* const* columns) {
    for (int64_t t = n - 1; t >= 0; --t) reflect<decltype(count)::value>(beta[t], M + t * ld, columns, t / L * L, ld);
  });
}

}  // namespace taskvec::TASKVEC_LEVEL
