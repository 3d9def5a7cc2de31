// Vectors of one SIMD level. Included once per level, inside the file that names it.
#pragma once

#ifndef TASKVEC_LEVEL
#error "define TASKVEC_LEVEL and TASKVEC_VECTOR_BYTES before including kernels-inl.h"
#endif

#include <cstdint>
#include <utility>
#ifdef __AVX__
#include <immintrin.h>
#endif

#include "numerics/common.h"

// Nothing here may use an inline function of the standard library: the linker would be free to pick the copy compiled
// for this level for the whole program.
namespace taskvec::TASKVEC_LEVEL {

template <class T>
struct VecOf {
  typedef T type __attribute__((vector_size(TASKVEC_VECTOR_BYTES)));
  typedef T unaligned __attribute__((vector_size(TASKVEC_VECTOR_BYTES), aligned(sizeof(T)), may_alias));
};
template <class T>
using Vec = typename VecOf<T>::type;

template <class T>
constexpr int lanes = TASKVEC_VECTOR_BYTES / int(sizeof(T));

template <class T>
inline Vec<T> load(const T* p) {
  return *reinterpret_cast<const typename VecOf<T>::unaligned*>(p);
}

template <class T>
inline void store(T* p, Vec<T> v) {
  *reinterpret_cast<typename VecOf<T>::unaligned*>(p) = v;
}

template <class T>
inline Vec<T> broadcast(T x) {
  return x - Vec<T>{};
}

template <int H, class V, int... E>
inline V rotate_lanes(V a, std::integer_sequence<int, E...>) {
  return __builtin_shufflevector(a, a, ((E + H) % int(sizeof...(E)))...);
}

template <class T, int H = lanes<T> / 2>
inline T horizontal_sum(Vec<T> v) {
  if constexpr (H >= 1) {
    return horizontal_sum<T, H / 2>(v + rotate_lanes<H>(v, std::make_integer_sequence<int, lanes<T>>{}));
  } else {
    return v[0];
  }
}

template <int H, class V, int... E>
inline V take_low(V a, V b, std::integer_sequence<int, E...>) {
  return __builtin_shufflevector(a, b, ((E & H) ? int(sizeof...(E)) + E - H : E)...);
}

template <int H, class V, int... E>
inline V take_high(V a, V b, std::integer_sequence<int, E...>) {
  return __builtin_shufflevector(a, b, ((E & H) ? int(sizeof...(E)) + E : E + H)...);
}

template <class T, int N>
struct BlockRow {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
  typedef T unaligned __attribute__((vector_size(N * sizeof(T)), aligned(sizeof(T)), may_alias));
};

// One stage of the block transpose: swaps the off-diagonal H × H blocks, then the same inside each block.
template <int H, int N, class Row>
inline void transpose_stage(Row (&rows)[N]) {
  if constexpr (H >= 1) {
    using Lanes = std::make_integer_sequence<int, N>;
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) {
      if (i & H) continue;
      const Row a = rows[i], b = rows[i + H];
      rows[i] = take_low<H>(a, b, Lanes{});
      rows[i + H] = take_high<H>(a, b, Lanes{});
    }
    transpose_stage<H / 2, N>(rows);
  }
}

// A square block of N (a power of two up to the lanes), read by rows `stride` apart, as columns.
template <class T, int N>
inline void transpose_load(const T* src, int64_t stride, typename BlockRow<T, N>::type (&rows)[N]) {
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i) rows[i] = *reinterpret_cast<const typename BlockRow<T, N>::unaligned*>(src + i * stride);
  transpose_stage<N / 2, N>(rows);
}

// dst[c * dst_stride + r] = src[r * src_stride + c] for a square block.
template <class T, int N = lanes<T>>
inline void transpose_block(const T* src, int64_t src_stride, T* dst, int64_t dst_stride) {
  typename BlockRow<T, N>::type rows[N];
  transpose_load<T, N>(src, src_stride, rows);
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i) *reinterpret_cast<typename BlockRow<T, N>::unaligned*>(dst + i * dst_stride) = rows[i];
}

// values[i][lane] = src[lane * k + i]: the spectra of `count` pairs, one a lane, and the last one again in further
// lanes.
template <class T>
inline void load_spectra(const T* src, int64_t k, int count, Vec<T>* values) {
  constexpr int N = lanes<double>;
  int64_t i = 0;
  for (; count == lanes<T> && i + N <= k; i += N) {
    for (int lane = 0; lane < count; lane += N) {
      transpose_block<T, N>(src + lane * k + i, k, reinterpret_cast<T*>(values + i) + lane, lanes<T>);
    }
  }
  for (; i < k; ++i) {
    for (int lane = 0; lane < lanes<T>; ++lane) values[i][lane] = src[smaller(lane, count - 1) * k + i];
  }
}

// The way back.
template <class T>
inline void store_spectra(const Vec<T>* values, int64_t k, int count, T* dst) {
  constexpr int N = lanes<double>;
  int64_t i = 0;
  for (; count == lanes<T> && i + N <= k; i += N) {
    for (int lane = 0; lane < count; lane += N) {
      transpose_block<T, N>(reinterpret_cast<const T*>(values + i) + lane, lanes<T>, dst + lane * k + i, k);
    }
  }
  for (; i < k; ++i) {
    for (int lane = 0; lane < count; ++lane) dst[lane * k + i] = values[i][lane];
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
