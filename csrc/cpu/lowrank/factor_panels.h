// Panels of a factor: positions of all its directions as rows of fp64. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/lowrank/dense.h"
#include "simd/convert.h"
#include "taskvec/factor.h"

namespace taskvec::TASKVEC_LEVEL {

// A whole vector of doubles at a time: wider ones the compiler takes apart lane by lane.
template <int part, class Floats, int... E>
inline void store_wide_part(Floats x, double* to, std::integer_sequence<int, E...>) {
  constexpr int L = int(sizeof...(E));
  using Wide = typename BlockRow<double, L>::type;
  const typename BlockRow<float, L>::type some = __builtin_shufflevector(x, x, (part * L + E)...);
  const Wide wide = widen<Wide>(some, std::make_integer_sequence<int, L>{});
  std::memcpy(to + part * L, &wide, sizeof wide);
}

template <class Floats, int... Part>
inline void store_wide(Floats x, double* to, std::integer_sequence<int, Part...>) {
  constexpr int L = int(sizeof(Floats) / sizeof(float) / sizeof...(Part));
  (store_wide_part<Part>(x, to, std::make_integer_sequence<int, L>{}), ...);
}

// panel[direction][position] of positions [p0, p0 + count), zeros up to a full vector, and up to a multiple of four
// directions.
template <class Src>
void load_panel(const Src* f, const Factor& factor, int64_t r, int64_t p0, int64_t count, double* panel,
                int64_t width) {
  const int64_t ds = factor.direction_stride, ps = factor.position_stride;
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
            store_wide(rows[i], panel + (d + i) * width + done,
                       std::make_integer_sequence<int, F / smaller(F, lanes_f64)>{});
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
    for (int64_t p = count; p < round_up(count, lanes_f64); ++p) row[p] = 0;
  }
  for (int64_t d = r; d < round_up(r, 4); ++d) fill(panel + d * width, round_up(count, lanes_f64), 0);
}

// gram[i][j] += panel_i · panel_j for j >= i, in tiles of 4 × 4.
inline void add_gram(const double* panel, int64_t width, int64_t rows, int64_t count, double* gram, int64_t ld) {
  for (int64_t i = 0; i < rows; i += 4) {
    for (int64_t j = i; j < rows; j += 4) {
      const double *x[4], *y[4];
      double products[16];
      for (int k = 0; k < 4; ++k) x[k] = panel + (i + k) * width, y[k] = panel + (j + k) * width;
      (i == j ? cross_products<true> : cross_products<false>)(x, y, count, products);
      for (int k = 0; k < 16; ++k) gram[(i + k / 4) * ld + j + k % 4] += products[k];
    }
  }
}

// A block of an output, columns `stride` apart.
template <class Out>
struct OutputBlock {
  Out* data;
  int64_t stride, columns, positions;

  OutputBlock at(int64_t column, int64_t position) const {
    return {data + column * stride + position, stride, columns - column, positions - position};
  }
};

// to[c][p] = Σ_d panel[d][p] · T[d][c] for C columns, `stride` apart, and VC vectors of positions.
template <int C, int VC, class Out>
inline void rotate_tile(const double* panel, int64_t width, int64_t r, const double* T, int64_t ld, Out* to,
                        int64_t stride) {
  typedef Out Narrow __attribute__((vector_size(lanes_f64 * sizeof(Out))));
  VecF64 acc[C][VC];
#pragma GCC unroll 4
  for (int t = 0; t < C; ++t) {
#pragma GCC unroll 4
    for (int v = 0; v < VC; ++v) acc[t][v] = VecF64{};
  }
  for (int64_t d = 0; d < r; ++d) {
    VecF64 f[VC];
#pragma GCC unroll 4
    for (int v = 0; v < VC; ++v) f[v] = load(panel + d * width + v * lanes_f64);
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
      std::memcpy(to + t * stride + v * lanes_f64, &narrow, sizeof narrow);
    }
  }
}

// The same where the tile may stick out of the block.
template <int C, int VC, class Out>
inline void rotate_within(const double* panel, int64_t width, int64_t r, const double* T, int64_t ld,
                          const OutputBlock<Out>& out) {
  if (out.columns >= C && out.positions >= VC * lanes_f64) {
    return rotate_tile<C, VC>(panel, width, r, T, ld, out.data, out.stride);
  }
  alignas(64) Out tile[C * VC * lanes_f64];
  rotate_tile<C, VC>(panel, width, r, T, ld, tile, VC * lanes_f64);
  for (int t = 0; t < smaller<int64_t>(C, out.columns); ++t) {
    for (int64_t p = 0; p < smaller<int64_t>(VC * lanes_f64, out.positions); ++p)
      out.data[t * out.stride + p] = tile[t * VC * lanes_f64 + p];
  }
}

// out = (panelᵀ · T)ᵀ; the panel is zero between `out.positions` and a full vector.
template <class Out>
inline void rotate_panel(const double* panel, int64_t width, int64_t r, const double* T, int64_t ld,
                         const OutputBlock<Out>& out) {
  constexpr int VC = TASKVEC_VECTOR_BYTES == 64 ? 4 : 2;
  const int64_t end = round_up(out.positions, lanes_f64);
  for (int64_t c = 0; c < out.columns; c += 4) {
    int64_t p = 0;
    for (; p + VC * lanes_f64 <= end; p += VC * lanes_f64)
      rotate_within<4, VC>(panel + p, width, r, T + c, ld, out.at(c, p));
    for (; p < end; p += lanes_f64) rotate_within<4, 1>(panel + p, width, r, T + c, ld, out.at(c, p));
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
