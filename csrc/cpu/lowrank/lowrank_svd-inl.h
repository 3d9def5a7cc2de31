// tau = scale · B · A without the m × n matrix: orthonormal bases of both factors in fp64, SVD of the core, rotation
// back. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/lowrank/orthonormal.h"
#include "simd/kernels.h"

namespace taskvec::TASKVEC_LEVEL {

// Σ ‖b_l‖‖a_l‖: B · A = Σ b_l a_l is known to rounding of this sum. squares: [2, ld]
inline double sum_of_terms(const LowRankShape& shape, const double* R_b, const double* R_a, double* b_squares,
                           double* a_squares) {
  const int64_t r = shape.r, ld = shape.ld;
  fill(b_squares, ld, 0), fill(a_squares, ld, 0);
  for (int64_t i = 0; i < r; ++i) {
    for (int64_t l = 0; l < ld; ++l) {
      b_squares[l] += R_b[i * ld + l] * R_b[i * ld + l];
      a_squares[l] += R_a[i * ld + l] * R_a[i * ld + l];
    }
  }
  double terms = 0;
  for (int64_t l = 0; l < r; ++l) terms += __builtin_sqrt(b_squares[l]) * __builtin_sqrt(a_squares[l]);
  return terms;
}

// out[column][position] = Σ_direction F[direction][position] · T[direction][column], [columns, length].
template <class Src, class Out>
void rotate_factor(const Src* f, const Factor& factor, const LowRankShape& shape, const double* T,
                   const LowRankScratch& s, Out* out) {
  for (int64_t p0 = 0; p0 < factor.length; p0 += shape.panel) {
    const int64_t count = smaller(shape.panel, factor.length - p0);
    load_panel(f, factor, shape.r, p0, count, s.panel, shape.width);
    const OutputBlock<Out> block{out + p0, factor.length, shape.columns, count};
    rotate_panel(s.panel, shape.width, shape.r, T, shape.ld, block);
  }
}

// The singular vectors of one side from those of the core, by rows of `vectors`: Q · vectors = (F · T) · vectors.
// Overwrites `rotation`.
template <class Src, class Out>
void rotate_back(const Src* f, const Factor& factor, const LowRankShape& shape, const Orthonormal& q,
                 const double* vectors, double* rotation, const LowRankScratch& s, Out* out) {
  multiply(q.T, vectors, rotation, shape.ld);
  if (q.tall.data == nullptr) return rotate_factor(f, factor, shape, rotation, s, out);
  rotate_factor<double>(q.tall.data, {nullptr, factor.length, 0, q.tall.ld, 1}, shape, rotation, s, out);
}

template <class Out>
struct LowRankOutputs {
  Out *u_t, *s, *vh;

  LowRankOutputs(const LowRankSVDArgs& args, int64_t index)
      : u_t(of(args.u_t, index)), s(of(args.s, index)), vh(of(args.vh, index)) {}

 private:
  static Out* of(const BatchedOutput& out, int64_t index) {
    return static_cast<Out*>(out.data) + index * out.batch_stride;
  }
};

template <class Src, class Out>
void lowrank_svd(const LowRankSVDArgs& args, int64_t index, void* memory) {
  const LowRankShape shape(args);
  const int64_t ld = shape.ld, k = shape.columns;
  LowRankScratch s;
  s.layout(static_cast<char*>(memory), shape);
  const Src* b = static_cast<const Src*>(args.b.data) + index * args.b.batch_stride;
  const Src* a = static_cast<const Src*>(args.a.data) + index * args.a.batch_stride;
  const LowRankOutputs<Out> out(args, index);
  const double scale = args.scale[index];

  if (!is_finite(scale) || !orthonormalise(b, args.b, shape, s.b, s) || !orthonormalise(a, args.a, shape, s.a, s)) {
    const Out nan = Out(__builtin_nan(""));
    for (int64_t i = 0; i < k * args.b.length; ++i) out.u_t[i] = nan;
    for (int64_t i = 0; i < k * args.a.length; ++i) out.vh[i] = nan;
    for (int64_t i = 0; i < k; ++i) out.s[i] = nan;
    return;
  }
  const double terms = sum_of_terms(shape, s.b.R, s.a.R, s.scale, s.sigma);
  // core M = R_B R_Aᵀ by columns, and its SVD
  double *core = s.gram, *left = s.chol, *right = s.inverse;
  multiply_transposed(s.a.R, s.b.R, core, ld);
  svd(core, left, right, s.sigma, s.work, shape.r, ld);
  // vectors of what is rounding are zero; the sign of the scale goes to U
  const double noise = rounding_noise(args.b.length, args.a.length, s.sigma[0], terms), sign = scale < 0 ? -1 : 1;
  for (int64_t c = 0; c < ld; ++c) {
    const bool live = c < k && s.sigma[c] > noise && scale != 0;
    if (c < k) out.s[c] = Out(live ? s.sigma[c] * magnitude(scale) : 0);
    if (!live) fill(left + c * ld, ld, 0), fill(right + c * ld, ld, 0);
    for (int64_t d = 0; live && d < ld; ++d) left[c * ld + d] *= sign;
  }
  transpose(left, s.product, ld), transpose(right, core, ld);
  rotate_back(b, args.b, shape, s.b, s.product, left, s, out.u_t);
  rotate_back(a, args.a, shape, s.a, core, right, s, out.vh);
}

int64_t lowrank_scratch_entry(const LowRankSVDArgs& args) {
  return LowRankScratch{}.layout(nullptr, LowRankShape(args));
}

void lowrank_svd_entry(const LowRankSVDArgs& args, int64_t index, void* scratch) {
  with_storage(args.dtype, [&](const auto* null) {
    using Src = std::remove_cv_t<std::remove_reference_t<decltype(*null)>>;
    using Out = std::conditional_t<std::is_same_v<Src, double>, double, float>;
    lowrank_svd<Src, Out>(args, index, scratch);
  });
}

}  // namespace taskvec::TASKVEC_LEVEL
