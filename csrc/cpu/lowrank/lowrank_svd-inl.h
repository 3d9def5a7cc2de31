// tau = scale · B · A without the m × n matrix: Cholesky-QR of both factors in fp64, SVD of the core, rotation back.
// Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/lowrank/core_svd.h"
#include "simd/convert.h"
#include "simd/kernels.h"

namespace taskvec::TASKVEC_LEVEL {

constexpr int64_t panel_doubles = 16384;  // 128 KiB

constexpr int64_t streamed_bytes = 16 << 20;  // outputs larger than this bypass the caches

struct LowRankShape {
  // panel: positions read at once, in rows `width` apart; columns: of the outputs, k = min(r, m, n)
  int64_t r, ld, panel, width, columns;
  bool streamed;

  explicit LowRankShape(const LowRankSVDArgs& args)
      : r(args.r),
        ld(round_up(args.r, larger(L, 8))),
        panel(larger<int64_t>(32, smaller<int64_t>(256, panel_doubles / ld / 32 * 32))),
        width(panel + 8),  // rows a multiple of 4 KiB apart would share their cache sets
        columns(smaller(args.r, smaller(args.b.length, args.a.length))),
        streamed(args.batch * columns * (args.b.length + args.a.length) * 4 > streamed_bytes) {}
};

// A factor F, r directions of `length` positions, with Q = F · T orthonormal and F = Q · R.
struct Orthonormal {
  double *T, *R;  // [r, ld]: T[direction][column of Q], R[column of Q][direction]
};

struct LowRankScratch {
  double *panel, *q_panel, *gram, *chol, *inverse, *product, *scale, *sigma, *work;
  Orthonormal b, a;

  int64_t layout(char* base, const LowRankShape& shape) {
    int64_t used = 0;
    auto take = [&](double*& pointer, int64_t count) {
      pointer = reinterpret_cast<double*>(base + used);
      used = round_up(used + count * int64_t(sizeof(double)), 64);
    };
    const int64_t square = shape.ld * shape.ld;
    take(panel, shape.ld * shape.width);
    take(q_panel, shape.ld * shape.width);
    for (double** matrix : {&gram, &chol, &inverse, &product, &b.T, &b.R, &a.T, &a.R}) take(*matrix, square);
    take(scale, shape.ld);
    take(sigma, shape.ld);
    take(work, svd_work(shape.r, shape.ld));
    return used;
  }
};

// panel[direction][position] of positions [p0, p0 + count), zeros up to a full vector and from r to ld.
template <class Src>
void load_panel(const Src* f, const Factor& factor, const LowRankShape& shape, int64_t p0, int64_t count, double* panel) {
  const int64_t r = shape.r, width = shape.width, ds = factor.direction_stride, ps = factor.position_stride;
  const Src* from = f + p0 * ps;
  int64_t done = 0;  // positions that the blocked transpose has read
  if constexpr (std::is_same_v<Src, float>) {
    constexpr int F = smaller(8, lanes<float>);
    if (ds == 1 && ps >= F && r % F == 0) {
      for (; done + F <= count; done += F) {
        for (int64_t d = 0; d < r; d += F) {
          typename BlockRow<float, F>::type rows[F];
          transpose_load<float, F>(from + done * ps + d, ps, rows);
#pragma GCC unroll 8
          for (int i = 0; i < F; ++i) {
            typedef double Wide __attribute__((vector_size(F * sizeof(double))));
            const Wide wide = widen<Wide>(rows[i], std::make_integer_sequence<int, F>{});
            std::memcpy(panel + (d + i) * width + done, &wide, sizeof wide);
          }
        }
      }
    }
  }
  for (int64_t d = 0; d < r; ++d) {
    double* row = panel + d * width;
    if (ps == 1) {
      convert_row(from + d * ds, count, row);
    } else {
      for (int64_t p = done; p < count; ++p) row[p] = double(from[d * ds + p * ps]);
    }
    for (int64_t p = count; p < round_up(count, L); ++p) row[p] = 0;
  }
  for (int64_t d = r; d < round_up(r, 4); ++d) fill(panel + d * width, round_up(count, L), 0);
}

// gram[i][j] += panel_i · panel_j for j >= i, in tiles of 4 × 4.
inline void add_gram(const double* panel, int64_t width, int64_t rows, int64_t count, double* gram, int64_t ld) {
  for (int64_t i = 0; i < rows; i += 4) {
    for (int64_t j = i; j < rows; j += 4) {
      const double *x[4], *y[4];
      double products[16];
      for (int k = 0; k < 4; ++k) x[k] = panel + (i + k) * width, y[k] = panel + (j + k) * width;
      cross_products(x, y, count, products);
      for (int k = 0; k < 16; ++k) gram[(i + k / 4) * ld + j + k % 4] += products[k];
    }
  }
}

// A block of an output, columns `stride` apart.
template <class Out>
struct Block {
  Out* data;
  int64_t stride, columns, positions;
  bool streamed;

  Block at(int64_t column, int64_t position) const {
    return {data + column * stride + position, stride, columns - column, positions - position, streamed};
  }
};

// to[c][p] = Σ_d panel[d][p] · T[d][c] for C columns, `stride` apart, and VC vectors of positions.
template <int C, int VC, bool Streamed, class Out>
inline void rotate_tile(const double* panel, int64_t width, int64_t r, const double* T, int64_t ld, Out* to, int64_t stride) {
  typedef Out Narrow __attribute__((vector_size(L * sizeof(Out))));
  V acc[C][VC];
#pragma GCC unroll 4
  for (int t = 0; t < C; ++t) {
#pragma GCC unroll 4
    for (int v = 0; v < VC; ++v) acc[t][v] = V{};
  }
  for (int64_t d = 0; d < r; ++d) {
    V f[VC];
#pragma GCC unroll 4
    for (int v = 0; v < VC; ++v) f[v] = load(panel + d * width + v * L);
#pragma GCC unroll 4
    for (int t = 0; t < C; ++t) {
#pragma GCC unroll 4
      for (int v = 0; v < VC; ++v) acc[t][v] += T[d * ld + t] * f[v];
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < C; ++t) {
#pragma GCC unroll 4
    for (int v = 0; v < VC; ++v) {
      const Narrow narrow = __builtin_convertvector(acc[t][v], Narrow);
      if constexpr (Streamed) {
        stream(to + t * stride + v * L, narrow);
      } else {
        std::memcpy(to + t * stride + v * L, &narrow, sizeof narrow);
      }
    }
  }
}

// The same where the tile may stick out of the block.
template <int C, int VC, class Out>
inline void rotate_within(const double* panel, int64_t width, int64_t r, const double* T, int64_t ld, const Block<Out>& out) {
  if (out.columns >= C && out.positions >= VC * L) {
    if (out.streamed) return rotate_tile<C, VC, true>(panel, width, r, T, ld, out.data, out.stride);
    return rotate_tile<C, VC, false>(panel, width, r, T, ld, out.data, out.stride);
  }
  alignas(64) Out tile[C * VC * L];
  rotate_tile<C, VC, false>(panel, width, r, T, ld, tile, VC * L);
  for (int t = 0; t < smaller<int64_t>(C, out.columns); ++t) {
    for (int64_t p = 0; p < smaller<int64_t>(VC * L, out.positions); ++p) out.data[t * out.stride + p] = tile[t * VC * L + p];
  }
}

// out = (panelᵀ · T)ᵀ; the panel is zero between `out.positions` and a full vector.
template <class Out>
inline void rotate_panel(const double* panel, int64_t width, int64_t r, const double* T, int64_t ld, const Block<Out>& out) {
  constexpr int VC = TASKVEC_VECTOR_BYTES == 64 ? 4 : 2;
  const int64_t end = round_up(out.positions, L);
  for (int64_t c = 0; c < out.columns; c += 4) {
    int64_t p = 0;
    for (; p + VC * L <= end; p += VC * L) rotate_within<4, VC>(panel + p, width, r, T + c, ld, out.at(c, p));
    for (; p < end; p += L) rotate_within<4, 1>(panel + p, width, r, T + c, ld, out.at(c, p));
  }
}

// Gram of F (first pass) or of F · T (later ones), [r, ld] upper.
template <class Src>
void gram_of(const Src* f, const Factor& factor, const LowRankShape& shape, const double* T, const LowRankScratch& s) {
  const int64_t rows = round_up(shape.r, 4);
  fill(s.gram, shape.ld * shape.ld, 0);
  for (int64_t p0 = 0; p0 < factor.length; p0 += shape.panel) {
    const int64_t count = smaller(shape.panel, factor.length - p0);
    load_panel(f, factor, shape, p0, count, s.panel);
    if (T != nullptr) {
      const Block<double> q{s.q_panel, shape.width, rows, round_up(count, L), false};
      rotate_panel(s.panel, shape.width, shape.r, T, shape.ld, q);
    }
    add_gram(T == nullptr ? s.panel : s.q_panel, shape.width, rows, round_up(count, L), s.gram, shape.ld);
  }
}

enum class Pass { done, again, not_finite };

// One pass of orthonormalisation from the Gram matrix: s.inverse and s.product become the step's T and R.
inline Pass orthonormal_step(const LowRankShape& shape, bool first, bool exact, LowRankScratch& s) {
  const int64_t r = shape.r, ld = shape.ld;
  double trace = 0;
  for (int64_t i = 0; i < r; ++i) trace += s.gram[i * ld + i];
  if (!(trace - trace == 0)) return Pass::not_finite;
  // unit diagonal: C = D⁻¹ G D⁻¹. In a later pass the diagonal is 1 but for directions that were noise: drop them.
  bool full = true;
  double *C = s.gram, *divisor = s.sigma;
  for (int64_t i = 0; i < r; ++i) {
    const double square = C[i * ld + i];
    const bool live = square > (first ? 0 : 0.25);
    s.scale[i] = live ? __builtin_sqrt(square) : 0, divisor[i] = live ? s.scale[i] : __builtin_inf();
    full &= live;
  }
  for (int64_t i = 0; i < r; ++i) {
    for (int64_t j = i; j < r; ++j) C[i * ld + j] = C[i * ld + j] / divisor[i] / divisor[j];
    C[i * ld + i] = double(s.scale[i] > 0);
  }
  fill(s.product, ld * ld, 0);
  if (full) {
    copy(C, s.chol, r * ld);
    if (cholesky(s.chol, r, ld)) {
      const double squares = invert_transposed(s.chol, s.product, r, ld);  // ‖R⁻¹‖_F²
      if (squares < cholesky_limit) {
        transpose(s.product, s.inverse, ld);
        for (int64_t i = 0; i < r; ++i) {
          for (int64_t j = i; j < r; ++j) s.inverse[i * ld + j] /= s.scale[i];
        }
        fill(s.product, ld * ld, 0);
        for (int64_t i = 0; i < r; ++i) {
          for (int64_t j = i; j < r; ++j) s.product[i * ld + j] = s.chol[i * ld + j] * s.scale[j];
        }
        // ‖QᵀQ − I‖ after this pass is about r · eps · ‖R⁻¹‖²
        const double error = double(r) * eps * squares;
        return error < (exact ? double(r * r) * eps * 4 : 1e-9) ? Pass::done : Pass::again;
      }
    }
  }
  // rank-revealing: C = Z Λ Zᵀ, keep λ above the threshold; T = D⁻¹ Z Λ^-½, R = Λ^½ Zᵀ D
  double *lambda = s.sigma, *left = s.chol, *right = s.inverse;
  fill(s.product, ld * ld, 0);
  for (int64_t i = 0; i < r; ++i) {
    for (int64_t j = i; j < r; ++j) s.product[i * ld + j] = s.product[j * ld + i] = C[i * ld + j];
  }
  svd(s.product, left, right, lambda, s.work, r, ld);
  const double threshold = lambda[0] * larger(dropped * dropped, 4 * double(r) * eps);
  double* T = C;  // no longer needed
  fill(T, ld * ld, 0);
  fill(s.product, ld * ld, 0);
  for (int64_t k = 0; k < r; ++k) {
    if (!(lambda[k] > threshold)) break;
    const double root = __builtin_sqrt(lambda[k]);
    for (int64_t i = 0; i < r; ++i) {
      T[i * ld + k] = s.scale[i] > 0 ? right[k * ld + i] / root / s.scale[i] : 0;
      s.product[k * ld + i] = right[k * ld + i] * root * s.scale[i];
    }
  }
  copy(T, s.inverse, ld * ld);
  return lambda[0] > 0 ? Pass::again : Pass::done;
}

// False when the factor holds NaN or Inf.
template <class Src>
bool orthonormalise(const Src* f, const Factor& factor, const LowRankShape& shape, Orthonormal& q, LowRankScratch& s) {
  const int64_t square = shape.ld * shape.ld;
  for (int pass = 0; pass < most_passes; ++pass) {
    gram_of(f, factor, shape, pass == 0 ? nullptr : q.T, s);
    const Pass outcome = orthonormal_step(shape, pass == 0, std::is_same_v<Src, double>, s);
    if (outcome == Pass::not_finite) return false;
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
  return true;
}

// out[column][position] = Σ_direction F[direction][position] · T[direction][column], [columns, length].
template <class Src, class Out>
void rotate_factor(const Src* f, const Factor& factor, const LowRankShape& shape, const double* T, const LowRankScratch& s, Out* out) {
  for (int64_t p0 = 0; p0 < factor.length; p0 += shape.panel) {
    const int64_t count = smaller(shape.panel, factor.length - p0);
    load_panel(f, factor, shape, p0, count, s.panel);
    const Block<Out> block{out + p0, factor.length, shape.columns, count, shape.streamed};
    rotate_panel(s.panel, shape.width, shape.r, T, shape.ld, block);
  }
}

template <class Src, class Out>
void lowrank_svd(const LowRankSVDArgs& args, int64_t index, void* memory) {
  const LowRankShape shape(args);
  const int64_t ld = shape.ld, k = shape.columns;
  LowRankScratch s;
  s.layout(static_cast<char*>(memory), shape);
  const Src* b = static_cast<const Src*>(args.b.data) + index * args.b.batch_stride;
  const Src* a = static_cast<const Src*>(args.a.data) + index * args.a.batch_stride;
  Out* u_t = static_cast<Out*>(args.u_t) + index * k * args.b.length;
  Out* vh = static_cast<Out*>(args.vh) + index * k * args.a.length;
  Out* sigma = static_cast<Out*>(args.s) + index * k;
  const double scale = args.scale[index];

  if (!(scale - scale == 0) || !orthonormalise(b, args.b, shape, s.b, s) || !orthonormalise(a, args.a, shape, s.a, s)) {
    const Out nan = Out(__builtin_nan(""));
    for (int64_t i = 0; i < k * args.b.length; ++i) u_t[i] = nan;
    for (int64_t i = 0; i < k * args.a.length; ++i) vh[i] = nan;
    for (int64_t i = 0; i < k; ++i) sigma[i] = nan;
    return;
  }
  // B · A = Σ b_l a_l is known to rounding of this sum: where the terms cancel, what is left is noise
  double terms = 0, *b_squares = s.scale, *a_squares = s.sigma;
  fill(b_squares, ld, 0), fill(a_squares, ld, 0);
  for (int64_t i = 0; i < shape.r; ++i) {
    for (int64_t l = 0; l < ld; ++l) {
      b_squares[l] += s.b.R[i * ld + l] * s.b.R[i * ld + l];
      a_squares[l] += s.a.R[i * ld + l] * s.a.R[i * ld + l];
    }
  }
  for (int64_t l = 0; l < shape.r; ++l) terms += __builtin_sqrt(b_squares[l]) * __builtin_sqrt(a_squares[l]);
  // core M = R_B R_Aᵀ by columns, and its SVD
  double *core = s.gram, *left = s.chol, *right = s.inverse;
  multiply_transposed(s.a.R, s.b.R, core, ld);
  svd(core, left, right, s.sigma, s.work, shape.r, ld);
  // T_B W and T_A Z, with the columns of what is rounding noise set to zero
  const double noise = larger(double(larger(args.b.length, args.a.length)) * 2.2e-16 * s.sigma[0], 8 * 2.2e-16 * terms);
  const double sign = scale < 0 ? -1 : 1;
  for (int64_t c = 0; c < ld; ++c) {
    const bool live = c < k && s.sigma[c] > noise && scale != 0;
    if (c < k) sigma[c] = Out(live ? s.sigma[c] * __builtin_fabs(scale) : 0);
    if (!live) fill(left + c * ld, ld, 0), fill(right + c * ld, ld, 0);
    for (int64_t d = 0; live && d < ld; ++d) left[c * ld + d] *= sign;
  }
  transpose(left, s.product, ld), transpose(right, core, ld);
  multiply(s.b.T, s.product, left, ld);
  rotate_factor(b, args.b, shape, left, s, u_t);
  multiply(s.a.T, core, right, ld);
  rotate_factor(a, args.a, shape, right, s, vh);
  if (shape.streamed) finish_streaming();
}

int64_t lowrank_scratch_entry(const LowRankSVDArgs& args) { return LowRankScratch{}.layout(nullptr, LowRankShape(args)); }

void lowrank_svd_entry(const LowRankSVDArgs& args, int64_t index, void* scratch) {
  with_storage(args.dtype, [&](const auto* null) {
    using Src = std::remove_cv_t<std::remove_reference_t<decltype(*null)>>;
    using Out = std::conditional_t<std::is_same_v<Src, double>, double, float>;
    lowrank_svd<Src, Out>(args, index, scratch);
  });
}

}  // namespace taskvec::TASKVEC_LEVEL
