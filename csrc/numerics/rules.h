// The rules that decide lowrank_svd's results, called by the CPU core and by the CUDA kernels; docs/NUMERICS.md says
// why.
#pragma once

#include "numerics/common.h"

namespace taskvec::TASKVEC_LEVEL {

// Below this share of a factor's largest singular value its Gram matrix does not show a direction.
constexpr double gram_resolution = 3e-8;
// ‖R⁻¹‖² above which Cholesky of the unit-diagonal Gram is not trusted: κ about 3e6.
constexpr double cholesky_limit = 1e13;
constexpr int most_passes = 4;
constexpr int most_sweeps = 40;

// A pivot of Cholesky on a matrix with unit diagonal.
TASKVEC_HD inline bool positive_pivot(double pivot, int64_t n) { return pivot > double(n) * eps; }

// D of the unit-diagonal Gram. In a later pass the diagonal is 1 but for directions that were noise.
TASKVEC_HD inline bool live_direction(double square, bool first_pass) { return square > (first_pass ? 0 : 0.25); }
TASKVEC_HD inline bool noise_direction(double square, bool first_pass) {
  return square != 0 && !live_direction(square, first_pass);
}

// ‖QᵀQ − I‖ after a pass is about r · eps · ‖R⁻¹‖_F².
TASKVEC_HD inline bool orthonormal_enough(double squares, int64_t r, bool exact) {
  return double(r) * eps * squares < (exact ? double(r * r) * eps * 4 : 1e-9);
}

// Eigenvalues of the unit-diagonal Gram at or below this are rounding, whatever the direction is.
TASKVEC_HD inline double least_eigenvalue(double largest, int64_t r) {
  return largest * larger(gram_resolution * gram_resolution, 4 * double(r) * eps);
}

// Whether the Householder route takes over: the Gram matrix shows fewer directions than the factor has live columns,
// and cannot tell whether the rest are small or none.
TASKVEC_HD inline bool directions_hidden(int64_t shown, int64_t live) { return shown < live; }

// Singular values of the core at or below this are rounding: of S_max, or of the sum of the r terms b_l a_l.
TASKVEC_HD inline double rounding_noise(int64_t m, int64_t n, double largest, double terms) {
  return larger(double(larger(m, n)) * 2.2e-16 * largest, 8 * 2.2e-16 * terms);
}

// One-sided Jacobi. Rows below 2^-60 of the largest are left alone: they are below every rank threshold.
constexpr double negligible_square = 0x1p-120;
TASKVEC_HD inline double orthogonal_square(int64_t n) { return eps * eps * double(n); }

// Whether rows of squares a, b and product g are to be made orthogonal: for numbers, or vectors of them.
template <class T>
TASKVEC_HD inline auto rotation_due(T a, T b, T g, double negligible, double tolerance) {
  return (a > negligible) & (b > negligible) & (g * g > tolerance * a * b);
}

struct Rotation {
  double c, s;
};

// Makes rows of squares a, b and product g orthogonal: the smaller angle, with two dependent roots and quotients.
TASKVEC_HD inline Rotation rotation(double a, double b, double g) {
  const double gap = magnitude(b - a), h = square_root(gap * gap + 4 * g * g);
  const double c = square_root((h + gap) / (2 * h)), t = 2 * g / (h + gap);
  return {c, (b < a ? -t : t) * c};
}

}  // namespace taskvec::TASKVEC_LEVEL
