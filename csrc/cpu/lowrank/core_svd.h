// SVD of an r × r matrix in fp64. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/lowrank/jacobi.h"
#include "cpu/lowrank/reflectors.h"

namespace taskvec::TASKVEC_LEVEL {

// From this size on only the rows of R are rotated at first: half the work, and half the memory it goes through.
constexpr int64_t rows_only_from = 32;

constexpr int64_t svd_work(int64_t n, int64_t ld) { return 2 * ld * ld + 3 * n + jacobi_work(n); }

struct SvdWork {
  double *X, *Z, *beta, *order, *norms, *rest;

  SvdWork(double* work, int64_t n, int64_t ld)
      : X(work), Z(X + ld * ld), beta(Z + ld * ld), order(beta + n), norms(order + n), rest(norms + n) {}
};

// X = R is made J Σ Wᵀ: rows of one of X, Z become Σ times a side's vectors, those of the other the other side's.
// spare: [ld, ld]. Jacobi on the rows of R makes them Σ Wᵀ and, of the identity, Jᵀ; on the rows of Wᵀ Rᵀ, which are
// nearly orthogonal already, it makes them Σ Jᵀ, and improves Wᵀ. True when it went that way: X is Σ Jᵀ, Z is Wᵀ.
inline bool diagonalise(const SvdWork& s, double* spare, int64_t n, int64_t ld) {
  const bool rows_only = n >= rows_only_from;
  fill(s.Z, ld * ld, 0);
  if (rows_only) {
    double* R = spare;
    copy(s.X, R, ld * ld);
    orthogonalise_rows(s.X, nullptr, s.rest, n, ld);
    double largest = 0;
    for (int64_t i = 0; i < n; ++i)
      s.norms[i] = dot(s.X + i * ld, s.X + i * ld, ld), largest = larger(largest, s.norms[i]);
    for (int64_t i = 0; i < n; ++i) {
      if (s.norms[i] > largest * negligible_square)
        axpy(1 / __builtin_sqrt(s.norms[i]), s.X + i * ld, s.Z + i * ld, ld);
    }
    multiply_transposed(s.Z, R, s.X, ld);
  } else {
    for (int64_t i = 0; i < n; ++i) s.Z[i * ld + i] = 1;
  }
  orthogonalise_rows(s.X, s.Z, s.rest, n, ld);
  return rows_only;
}

// SVD of M, given by columns [n, ld] and destroyed: M = W diag(sigma) Zᵀ, sigma descending.
// W and Z come back by columns in `left` and `right` ([ld, ld]); columns of zero sigma may be anything finite.
// work: svd_work(n, ld) doubles.
inline void svd(double* M, double* left, double* right, double* sigma, double* work, int64_t n, int64_t ld) {
  const SvdWork s(work, n, ld);
  pivoted_qr({M, n, ld, ld}, s.X, s.beta, s.order, s.rest);
  const bool turned = diagonalise(s, left, n, ld);
  const double *u_rows = turned ? s.X : s.Z, *v_rows = turned ? s.Z : s.X;
  double* norms = s.norms;
  for (int64_t i = 0; i < n; ++i) norms[i] = __builtin_sqrt(dot(s.X + i * ld, s.X + i * ld, ld));
  fill(left, n * ld, 0), fill(right, n * ld, 0);
  for (int64_t k = 0; k < n; ++k) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; ++i) {
      if (norms[i] > norms[best]) best = i;
    }
    sigma[k] = norms[best];
    norms[best] = -1;
    const double scale = sigma[k] > 0 ? 1 / sigma[k] : 0, u_scale = turned ? scale : 1, v_scale = turned ? 1 : scale;
    double* u = left + k * ld;
    for (int64_t i = 0; i < n; ++i) u[i] = u_rows[best * ld + i] * u_scale;
    for (int64_t j = 0; j < n; ++j) right[k * ld + int64_t(s.order[j])] = v_rows[best * ld + j] * v_scale;
  }
  by_fours(left, 0, n, ld, [&](auto count, double* const* columns) {
    for (int64_t t = n - 1; t >= 0; --t)
      reflect<decltype(count)::value>(s.beta[t], M + t * ld, columns, t / lanes_f64 * lanes_f64, ld);
  });
}

}  // namespace taskvec::TASKVEC_LEVEL
