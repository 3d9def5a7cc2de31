// fp64 linear algebra of r × r matrices, rows `ld` apart, `ld` a multiple of the lanes. Part of one SIMD level, see vec.h.
#pragma once

#include "rules.h"
#include "vec.h"

namespace taskvec::TASKVEC_LEVEL {

constexpr int L = lanes<double>;
using V = Vec<double>;

inline V sqrt_of(V x) {
  for (int lane = 0; lane < L; ++lane) x[lane] = __builtin_sqrt(x[lane]);
  return x;
}

inline double dot(const double* x, const double* y, int64_t n) {  // n a multiple of L
  V sum{}, other{};                                               // two, so that one addition need not wait for the last
  int64_t i = 0;
  for (; i + 2 * L <= n; i += 2 * L) sum += load(x + i) * load(y + i), other += load(x + i + L) * load(y + i + L);
  if (i < n) sum += load(x + i) * load(y + i);
  return horizontal_sum<double>(sum + other);
}

inline void axpy(double alpha, const double* x, double* y, int64_t n) {
  for (int64_t i = 0; i < n; i += L) store(y + i, load(y + i) + alpha * load(x + i));
}

inline void fill(double* x, int64_t n, double value) {
  for (int64_t i = 0; i < n; ++i) x[i] = value;
}

// C = A · B, all [n, ld].
inline void multiply(const double* A, const double* B, double* C, int64_t n, int64_t ld) {
  fill(C, n * ld, 0);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t l = 0; l < n; ++l) {
      if (A[i * ld + l] != 0) axpy(A[i * ld + l], B + l * ld, C + i * ld, ld);
    }
  }
}

// Lower Cholesky factor of C in place (upper part left alone). False when a pivot is not clearly positive.
inline bool cholesky(double* C, int64_t n, int64_t ld) {
  for (int64_t j = 0; j < n; ++j) {
    double* row = C + j * ld;
    for (int64_t i = 0; i <= j; ++i) {
      double sum = row[i];
      for (int64_t l = 0; l < i; ++l) sum -= row[l] * C[i * ld + l];
      if (i < j) {
        row[i] = sum / C[i * ld + i];
      } else {
        if (!positive_pivot(sum, n)) return false;  // of a matrix with unit diagonal
        row[i] = __builtin_sqrt(sum);
      }
    }
  }
  return true;
}

// Inverse of a lower triangular matrix, and ‖·‖_F² of it.
inline double invert_lower(const double* C, double* inverse, int64_t n, int64_t ld) {
  fill(inverse, n * ld, 0);
  double squares = 0;
  for (int64_t j = 0; j < n; ++j) {
    double* row = inverse + j * ld;
    for (int64_t i = 0; i < j; ++i) axpy(-C[j * ld + i], inverse + i * ld, row, round_up(i + 1, L));
    row[j] = 1;
    const double pivot = 1 / C[j * ld + j];
    for (int64_t i = 0; i <= j; ++i) row[i] *= pivot;
    squares += dot(row, row, ld);
  }
  return squares;
}

// The rows of X whose products are driven to zero, those of Z that turn with them, and the squares of the first, [n].
struct Turning {
  double *X, *Z, *squares;
  int64_t n, ld;
  double tolerance, negligible;
};

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

// One-sided Jacobi: rotates until the rows of X are orthogonal, by blocks of rows, whose pairs come in disjoint sets.
inline void orthogonalise_rows(double* X, double* Z, double* squares, int64_t n, int64_t ld) {
  constexpr int few = 4;
  Turning t{X, Z, squares, n, ld, orthogonal_square(n), 0};
  for (int sweep = 0; sweep < most_sweeps; ++sweep) {
    double largest = 0;
    for (int64_t i = 0; i < n; ++i) squares[i] = dot(X + i * ld, X + i * ld, ld), largest = larger(largest, squares[i]);
    t.negligible = largest * negligible_square;
    bool rotated = false;
    for (int64_t p0 = 0; p0 < n; p0 += few) {
      const int64_t p1 = smaller(p0 + few, n);
      for (int64_t p = p0; p < p1; ++p) {
        for (int64_t q = p + 1; q < p1; ++q) rotated |= turn_pairs<1>(t, &p, &q, 1);
      }
      for (int64_t q0 = p1; q0 < n; q0 += few) {
        for (int shift = 0; shift < few; ++shift) {
          int64_t p[few], q[few];
          int count = 0;
          for (int k = 0; k < few; ++k) {
            p[count] = p0 + k, q[count] = q0 + (k + shift) % few;
            count += q[count] < n;
          }
          rotated |= turn_pairs<few>(t, p, q, count);
        }
      }
    }
    if (!rotated) return;
  }
}

// SVD of M, given by columns [n, ld] and destroyed: M = W diag(sigma) Zᵀ, sigma descending.
// W and Z come back by columns in `left` and `right` ([n, ld]); columns of zero sigma may be anything finite.
// work: 2 n ld + 3 n doubles.
inline void svd(double* M, double* left, double* right, double* sigma, double* work, int64_t n, int64_t ld) {
  double *X = work, *Z = X + n * ld, *beta = Z + n * ld, *order = beta + n, *norms = order + n;
  // pivoted QR, M P = H R, one reflector a step; M keeps the reflectors, X gets the rows of R
  fill(X, n * ld, 0);
  for (int64_t j = 0; j < n; ++j) order[j] = double(j);
  for (int64_t t = 0; t < n; ++t) {
    int64_t pivot = t;
    double most = -1;
    for (int64_t j = t; j < n; ++j) {
      const double square = dot(M + j * ld, M + j * ld, ld);  // entries above row t are zero
      if (square > most) most = square, pivot = j;
    }
    if (pivot != t) {
      for (int64_t i = 0; i < ld; ++i) {
        const double swap = M[t * ld + i];
        M[t * ld + i] = M[pivot * ld + i], M[pivot * ld + i] = swap;
      }
      // the finished part of R moves with its column
      for (int64_t i = 0; i < t; ++i) {
        const double swap = X[i * ld + t];
        X[i * ld + t] = X[i * ld + pivot], X[i * ld + pivot] = swap;
      }
      const double swap = order[t];
      order[t] = order[pivot], order[pivot] = swap;
    }
    double* v = M + t * ld;
    const double alpha = v[t] > 0 ? -__builtin_sqrt(most) : __builtin_sqrt(most);
    X[t * ld + t] = alpha;
    v[t] -= alpha;
    const double square = dot(v, v, ld);
    beta[t] = square > 0 ? 2 / square : 0;
    for (int64_t j = t + 1; j < n; ++j) {
      double* column = M + j * ld;
      axpy(-beta[t] * dot(v, column, ld), v, column, ld);
      X[t * ld + j] = column[t];
      column[t] = 0;
    }
  }
  // R = V Σ Wᵀ: Jacobi on the rows of R, i.e. the columns of Rᵀ
  fill(Z, n * ld, 0);
  for (int64_t i = 0; i < n; ++i) Z[i * ld + i] = 1;
  orthogonalise_rows(X, Z, norms, n, ld);
  for (int64_t i = 0; i < n; ++i) norms[i] = __builtin_sqrt(dot(X + i * ld, X + i * ld, ld));
  fill(left, n * ld, 0), fill(right, n * ld, 0);
  for (int64_t k = 0; k < n; ++k) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; ++i) {
      if (norms[i] > norms[best]) best = i;
    }
    sigma[k] = norms[best];
    norms[best] = -1;
    double* u = left + k * ld;
    for (int64_t i = 0; i < n; ++i) u[i] = Z[best * ld + i];
    for (int64_t t = n - 1; t >= 0; --t) axpy(-beta[t] * dot(M + t * ld, u, ld), M + t * ld, u, ld);
    const double scale = sigma[k] > 0 ? 1 / sigma[k] : 0;
    for (int64_t j = 0; j < n; ++j) right[k * ld + int64_t(order[j])] = X[best * ld + j] * scale;
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
