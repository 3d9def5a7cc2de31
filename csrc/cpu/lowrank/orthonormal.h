// F = Q · R of a factor: Cholesky-QR from its Gram matrix, or Householder reflectors. Part of one SIMD level, see
// vec.h.
#pragma once

#include "cpu/lowrank/factor_panels.h"
#include "cpu/lowrank/workspace.h"

namespace taskvec::TASKVEC_LEVEL {

// Gram of F (first pass) or of F · T (later ones), [r, ld] upper.
template <class Src>
void gram_of(const Src* f, const Factor& factor, const LowRankShape& shape, const double* T, const LowRankScratch& s) {
  const int64_t rows = round_up(shape.r, 4);
  fill(s.gram, shape.ld * shape.ld, 0);
  for (int64_t p0 = 0; p0 < factor.length; p0 += shape.panel) {
    const int64_t count = smaller(shape.panel, factor.length - p0);
    load_panel(f, factor, shape.r, p0, count, s.panel, shape.width);
    if (T != nullptr) {
      const OutputBlock<double> q{s.q_panel, shape.width, rows, round_up(count, lanes_f64)};
      rotate_panel(s.panel, shape.width, shape.r, T, shape.ld, q);
    }
    add_gram(T == nullptr ? s.panel : s.q_panel, shape.width, rows, round_up(count, lanes_f64), s.gram, shape.ld);
  }
}

// What the diagonal of a Gram matrix tells.
struct Diagonal {
  int64_t live;  // directions
  bool noise;    // whether there are directions that are only noise
};

// C = D⁻¹ G D⁻¹ in s.gram, D in s.scale: unit diagonal, but for zeros where there is no direction.
inline Diagonal unit_diagonal(int64_t r, int64_t ld, bool first, const LowRankScratch& s) {
  double *C = s.gram, *divisor = s.sigma;
  Diagonal found{0, false};
  for (int64_t i = 0; i < r; ++i) {
    const double square = C[i * ld + i];
    const bool live = live_direction(square, first);
    s.scale[i] = live ? __builtin_sqrt(square) : 0, divisor[i] = live ? s.scale[i] : __builtin_inf();
    found.live += live, found.noise |= noise_direction(square, first);
  }
  for (int64_t i = 0; i < r; ++i) {
    for (int64_t j = i; j < r; ++j) C[i * ld + j] = C[i * ld + j] / divisor[i] / divisor[j];
    C[i * ld + i] = double(s.scale[i] > 0);
  }
  return found;
}

// C = UᵀU: the step's T = D⁻¹ U⁻¹ in s.inverse, and its R = U D in s.product. Returns ‖U⁻¹‖_F², infinite when C has no
// Cholesky factor.
inline double cholesky_step(int64_t r, int64_t ld, const LowRankScratch& s) {
  copy(s.gram, s.chol, r * ld);
  if (!cholesky(s.chol, r, ld)) return __builtin_inf();
  fill(s.product, ld * ld, 0);
  const double squares = invert_transposed(s.chol, s.product, r, ld);
  if (!(squares < cholesky_limit)) return squares;
  transpose(s.product, s.inverse, ld);
  for (int64_t i = 0; i < r; ++i) {
    for (int64_t j = i; j < r; ++j) s.inverse[i * ld + j] /= s.scale[i];
  }
  fill(s.product, ld * ld, 0);
  for (int64_t i = 0; i < r; ++i) {
    for (int64_t j = i; j < r; ++j) s.product[i * ld + j] = s.chol[i * ld + j] * s.scale[j];
  }
  return squares;
}

// C = Z Λ Zᵀ, of which the Λ that are not rounding are kept: T = D⁻¹ Z Λ^-½, R = Λ^½ Zᵀ D. Returns how many there are.
inline int64_t revealing_step(int64_t r, int64_t ld, const LowRankScratch& s) {
  double *C = s.gram, *lambda = s.sigma, *left = s.chol, *right = s.inverse;
  fill(s.product, ld * ld, 0);
  for (int64_t i = 0; i < r; ++i) {
    for (int64_t j = i; j < r; ++j) s.product[i * ld + j] = s.product[j * ld + i] = C[i * ld + j];
  }
  svd(s.product, left, right, lambda, s.work, r, ld);
  const double least = least_eigenvalue(lambda[0], r);
  double* T = C;  // no longer needed
  fill(T, ld * ld, 0);
  fill(s.product, ld * ld, 0);
  int64_t kept = 0;
  for (; kept < r && lambda[kept] > least; ++kept) {
    const double root = __builtin_sqrt(lambda[kept]);
    for (int64_t i = 0; i < r; ++i) {
      T[i * ld + kept] = s.scale[i] > 0 ? right[kept * ld + i] / root / s.scale[i] : 0;
      s.product[kept * ld + i] = right[kept * ld + i] * root * s.scale[i];
    }
  }
  copy(T, s.inverse, ld * ld);
  return kept;
}

// hidden: the Gram matrix does not show all directions
enum class Pass { done, again, hidden, not_finite };

// One pass of orthonormalisation from the Gram matrix: s.inverse and s.product become the step's T and R.
inline Pass orthonormal_step(const LowRankShape& shape, bool first, bool exact, const LowRankScratch& s) {
  const int64_t r = shape.r, ld = shape.ld;
  double trace = 0;
  for (int64_t i = 0; i < r; ++i) trace += s.gram[i * ld + i];
  if (!is_finite(trace)) return Pass::not_finite;
  const Diagonal diagonal = unit_diagonal(r, ld, first, s);
  if (diagonal.noise) return Pass::hidden;
  if (diagonal.live == r) {
    const double squares = cholesky_step(r, ld, s);
    if (squares < cholesky_limit) return orthonormal_enough(squares, r, exact) ? Pass::done : Pass::again;
  }
  const int64_t kept = revealing_step(r, ld, s);
  if (directions_hidden(kept, diagonal.live)) return Pass::hidden;
  return kept > 0 ? Pass::again : Pass::done;
}

// T and R of F = (F · T) · R, while the Gram matrix shows all directions.
template <class Src>
Pass orthonormalise_by_gram(const Src* f, const Factor& factor, const LowRankShape& shape, const Orthonormal& q,
                            const LowRankScratch& s) {
  const int64_t square = shape.ld * shape.ld;
  for (int pass = 0; pass < most_passes; ++pass) {
    gram_of(f, factor, shape, pass == 0 ? nullptr : q.T, s);
    const Pass outcome = orthonormal_step(shape, pass == 0, std::is_same_v<Src, double>, s);
    if (outcome == Pass::not_finite || outcome == Pass::hidden) return outcome;
    if (pass == 0) {
      copy(s.inverse, q.T, square), copy(s.product, q.R, square);
    } else {
      multiply(q.T, s.inverse, s.gram, shape.ld);
      copy(s.gram, q.T, square);
      multiply(s.product, q.R, s.gram, shape.ld);
      copy(s.gram, q.R, square);
    }
    if (outcome == Pass::done) break;
  }
  return Pass::done;
}

// F = Q · R by reflectors, with Q stored: columns keep their digits whatever the condition of F.
template <class Src>
void orthonormalise_by_reflectors(const Src* f, const Factor& factor, const LowRankShape& shape, Orthonormal& q,
                                  const LowRankScratch& s) {
  q.tall = q.memory.make(shape.r, factor.length);
  load_panel(f, factor, shape.r, 0, factor.length, q.tall.data, q.tall.ld);
  qr_in_place(q.tall, factor.length, q.R, s.scale, shape.ld);
  fill(q.T, shape.ld * shape.ld, 0);
  for (int64_t i = 0; i < shape.r; ++i) q.T[i * shape.ld + i] = 1;
}

// False when the factor holds NaN or Inf.
template <class Src>
bool orthonormalise(const Src* f, const Factor& factor, const LowRankShape& shape, Orthonormal& q,
                    const LowRankScratch& s) {
  q.tall.data = nullptr;
  const Pass outcome = orthonormalise_by_gram(f, factor, shape, q, s);
  if (outcome == Pass::hidden) orthonormalise_by_reflectors(f, factor, shape, q, s);
  return outcome != Pass::not_finite;
}

}  // namespace taskvec::TASKVEC_LEVEL
