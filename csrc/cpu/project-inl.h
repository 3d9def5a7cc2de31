// d = diag(Uᴴ τ V) of one target from its factors. Part of one SIMD level, see vec.h.
#pragma once

#include "dots.h"
#include "kernels.h"

namespace taskvec::TASKVEC_LEVEL {

// dst[direction][ld] from directions [d0, d0 + directions) and positions [p0, p0 + positions) of a factor, zeros up to
// a whole vector.
template <class T, class Src>
inline void pack_directions(const Factor& f, int64_t index, int64_t d0, int64_t directions, int64_t p0, int64_t positions, T* dst,
                            int64_t ld) {
  constexpr int N = lanes<double>;
  const Src* from = static_cast<const Src*>(f.data) + index * f.batch_stride + d0 * f.direction_stride + p0 * f.position_stride;
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
inline void pack(const Operand& x, int64_t index, int64_t d0, int64_t directions, int64_t p0, int64_t positions, T* dst, int64_t ld) {
  with_storage(x.dtype, [&](const auto* null) {
    using Src = std::remove_cv_t<std::remove_reference_t<decltype(*null)>>;
    pack_directions<T, Src>(x.factor, index, d0, directions, p0, positions, dst, ld);
  });
}

// A block of dot_columns rows of y, [dot_columns][dot_depth]: those that are not there are zero.
template <class T>
inline Rows<T> pack_block(const Operand& y, int64_t index, int64_t d0, int64_t directions, int64_t p0, int64_t positions, T* dst) {
  pack(y, index, d0, directions, p0, positions, dst, dot_depth);
  for (int64_t at = directions * dot_depth; at < dot_columns * dot_depth; ++at) dst[at] = T(0);
  return {dst, dot_depth};
}

template <class T>
constexpr DType stored = sizeof(T) == 8 ? DType::f64 : DType::f32;

// Rows of x where they lie if they can be multiplied there, else packed to `dst`, [directions][ld].
template <class T>
inline Rows<T> rows_of(const Operand& x, int64_t index, int64_t d0, int64_t directions, int64_t p0, int64_t positions, T* dst, int64_t ld) {
  const Factor& f = x.factor;
  if (x.dtype == stored<T> && f.position_stride == 1 && positions % lanes<T> == 0) {
    return {static_cast<const T*>(f.data) + index * f.batch_stride + d0 * f.direction_stride + p0, f.direction_stride};
  }
  pack(x, index, d0, directions, p0, positions, dst, ld);
  return {dst, ld};
}

inline int64_t padded_columns(int64_t columns) { return round_up(columns, dot_columns); }

inline int64_t project_scratch(const Project& task) {
  return int64_t(sizeof(double)) * ((task.k + dot_columns) * dot_depth + 2 * task.k * padded_columns(task.r));
}

// Whether y's directions lie side by side in whole vectors or halves, as those of a row-major B do: they are multiplied there.
template <class T>
inline bool by_position(const Operand& y, int64_t r) {
  return y.dtype == stored<T> && y.factor.direction_stride == 1 && r % outer_columns<T> == 0;
}

// gram[k][padded r] = x_k · y_r, over runs of dot_depth positions.
template <class T>
void cross_gram(const Operand& x, int64_t k, const Operand& y, int64_t r, int64_t index, T* packed, T* gram) {
  const int64_t ld = padded_columns(r);
  T* const packed_y = packed + k * dot_depth;
  for (int64_t at = 0; at < k * ld; ++at) gram[at] = T(0);
  for (int64_t p0 = 0; p0 < x.factor.length; p0 += dot_depth) {
    const int64_t positions = smaller(dot_depth, x.factor.length - p0);
    const Rows<T> left = rows_of(x, index, 0, k, p0, positions, packed, dot_depth);
    if (by_position<T>(y, r)) {
      const Factor& f = y.factor;
      const Rows<T> right{static_cast<const T*>(f.data) + index * f.batch_stride + p0 * f.position_stride, f.position_stride};
      outer_products(left, k, right, r, positions, gram, ld);
      continue;
    }
    for (int64_t r0 = 0; r0 < r; r0 += dot_columns) {
      const int64_t columns = smaller<int64_t>(dot_columns, r - r0);
      const bool whole = columns == dot_columns || columns == dot_columns / 2;
      const Rows<T> right = whole ? rows_of(y, index, r0, columns, p0, positions, packed_y, dot_depth)
                                  : pack_block(y, index, r0, columns, p0, positions, packed_y);
      auto add = [&](int64_t i, auto sums) {
        T* const to = gram + i * ld + r0;
        auto so_far = sums;
        std::memcpy(&so_far, to, sizeof so_far);
        so_far += sums;
        std::memcpy(to, &so_far, sizeof so_far);
      };
      (r0 == 0 ? dots<T, true, decltype(add)&> : dots<T, false, decltype(add)&>)(left, k, right, columns, round_up(positions, lanes<T>),
                                                                                 add);
    }
  }
}

template <class T>
void project_one(const Project& task, int64_t index, void* memory) {
  T* const packed = static_cast<T*>(memory);
  T* const left = packed + (task.k + dot_columns) * dot_depth;
  const int64_t ld = padded_columns(task.r);
  T* const right = left + task.k * ld;
  cross_gram(task.u, task.k, task.b, task.r, index, packed, left);
  cross_gram(task.vh, task.k, task.a, task.r, index, packed, right);
  for (int64_t i = 0; i < task.k; ++i) {
    double sum = 0;
    for (int64_t l = 0; l < task.r; ++l) sum += double(left[i * ld + l]) * double(right[i * ld + l]);
    const double d = sum * task.scale[index];
    static_cast<T*>(task.d)[index * task.k + i] = T(task.clip && d < 0 ? 0 : d);  // NaN stays
  }
}

void project_entry(const Project& task, int64_t index, void* scratch) {
  task.f64 ? project_one<double>(task, index, scratch) : project_one<float>(task, index, scratch);
}

}  // namespace taskvec::TASKVEC_LEVEL
