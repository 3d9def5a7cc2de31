// Directions of an operand of any strides and storage as rows that can be multiplied. Part of one SIMD level, see
// vec.h.
#pragma once

#include "cpu/products/row_products.h"
#include "simd/kernels.h"

namespace taskvec::TASKVEC_LEVEL {

// dst[direction][ld] from directions [d0, d0 + directions) and positions [p0, p0 + positions) of a factor, zeros up to
// a whole vector.
template <class T, class Src>
inline void pack_directions(const Factor& f, int64_t index, int64_t d0, int64_t directions, int64_t p0,
                            int64_t positions, T* dst, int64_t ld) {
  constexpr int N = lanes<double>;
  const Src* from =
      static_cast<const Src*>(f.data) + index * f.batch_stride + d0 * f.direction_stride + p0 * f.position_stride;
  const int64_t padded = round_up(positions, lanes<T>);
  for (int64_t d = 0; d < directions; ++d) {
    for (int64_t p = positions; p < padded; ++p) dst[d * ld + p] = T(0);
  }
  if (f.position_stride == 1) {
    for (int64_t d = 0; d < directions; ++d) convert_row(from + d * f.direction_stride, positions, dst + d * ld);
    return;
  }
  int64_t d = 0;
  for (; f.direction_stride == 1 && d + N <= directions; d += N) {
    int64_t p = 0;
    for (; p + N <= positions; p += N) {
      if constexpr (std::is_same_v<T, Src>) {
        transpose_block<T, N>(from + d + p * f.position_stride, f.position_stride, dst + d * ld + p, ld);
      } else {
        alignas(64) T block[N * N];
        for (int i = 0; i < N; ++i) convert_row(from + d + (p + i) * f.position_stride, N, block + i * N);
        transpose_block<T, N>(block, N, dst + d * ld + p, ld);
      }
    }
    for (; p < positions; ++p) {
      for (int i = 0; i < N; ++i) dst[(d + i) * ld + p] = T(from[d + i + p * f.position_stride]);
    }
  }
  for (; d < directions; ++d) {
    for (int64_t p = 0; p < positions; ++p) dst[d * ld + p] = T(from[d * f.direction_stride + p * f.position_stride]);
  }
}

// The same for any storage type.
template <class T>
inline void pack(const Operand& x, int64_t index, int64_t d0, int64_t directions, int64_t p0, int64_t positions, T* dst,
                 int64_t ld) {
  with_storage(x.dtype, [&](const auto* null) {
    using Src = std::remove_cv_t<std::remove_reference_t<decltype(*null)>>;
    pack_directions<T, Src>(x.factor, index, d0, directions, p0, positions, dst, ld);
  });
}

// A block of dot_columns rows of y, [dot_columns][dot_depth]: those that are not there are zero.
template <class T>
inline Rows<T> pack_block(const Operand& y, int64_t index, int64_t d0, int64_t directions, int64_t p0,
                          int64_t positions, T* dst) {
  pack(y, index, d0, directions, p0, positions, dst, dot_depth);
  for (int64_t at = directions * dot_depth; at < dot_columns * dot_depth; ++at) dst[at] = T(0);
  return {dst, dot_depth};
}

template <class T>
constexpr DType stored = sizeof(T) == 8 ? DType::f64 : DType::f32;

// Rows of x where they lie if they can be multiplied there, else packed to `dst`, [directions][ld].
template <class T>
inline Rows<T> rows_of(const Operand& x, int64_t index, int64_t d0, int64_t directions, int64_t p0, int64_t positions,
                       T* dst, int64_t ld) {
  const Factor& f = x.factor;
  if (x.dtype == stored<T> && f.position_stride == 1 && positions % lanes<T> == 0) {
    return {static_cast<const T*>(f.data) + index * f.batch_stride + d0 * f.direction_stride + p0, f.direction_stride};
  }
  pack(x, index, d0, directions, p0, positions, dst, ld);
  return {dst, ld};
}

inline int64_t padded_columns(int64_t columns) { return round_up(columns, dot_columns); }

}  // namespace taskvec::TASKVEC_LEVEL
