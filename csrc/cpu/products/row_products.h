// Products of a few rows with a few rows, all stored with the long dimension contiguous: nothing is packed that is
// already so. Part of one SIMD level, see vec.h.
#pragma once

#include "simd/convert.h"

namespace taskvec::TASKVEC_LEVEL {

// Row i starts at data + i * ld.
template <class T>
struct Rows {
  const T* data;
  int64_t ld;

  const T* operator[](int64_t i) const { return data + i * ld; }
};

// A register tile is dot_rows × dot_columns; twice as tall and half as wide where there are few columns.
constexpr int dot_columns = TASKVEC_VECTOR_BYTES == 64 ? 8 : 4;
constexpr int dot_rows = TASKVEC_VECTOR_BYTES == 64 ? 3 : 2;
// Positions that are multiplied at a time: dot_columns rows of them stay in the L1 cache.
constexpr int64_t dot_depth = 512;

// The sums over the lanes of C vectors, in the first C lanes.
template <class T, int C, int H = 1>
inline Vec<T> sums(const Vec<T> (&v)[C]) {
  using Lanes = std::make_integer_sequence<int, lanes<T>>;
  if constexpr (C > lanes<T> / H) {
    Vec<T> result{};
    for (int c = 0; c < C && c < lanes<T>; ++c) result[c] = horizontal_sum<T>(v[c]);
    return result;
  } else if constexpr (C == 1) {
    Vec<T> result = v[0];
    if constexpr (H <= lanes<T> / 2) result = result + rotate_lanes<H>(result, Lanes{});
    if constexpr (2 * H <= lanes<T> / 2) result = result + rotate_lanes<2 * H>(result, Lanes{});
    if constexpr (4 * H <= lanes<T> / 2) result = result + rotate_lanes<4 * H>(result, Lanes{});
    if constexpr (8 * H <= lanes<T> / 2) result = result + rotate_lanes<8 * H>(result, Lanes{});
    return result;
  } else {
    Vec<T> half[C / 2];
    // lanes without bit H keep the first of two vectors, lanes with it the second
#pragma GCC unroll 8
    for (int c = 0; c < C / 2; ++c)
      half[c] = take_low<H>(v[2 * c], v[2 * c + 1], Lanes{}) + take_high<H>(v[2 * c], v[2 * c + 1], Lanes{});
    return sums<T, C / 2, 2 * H>(half);
  }
}

// Keeps the compiler from reading `v` again for each use: a core reads two vectors a cycle.
template <class V>
inline void in_register([[maybe_unused]] V& v) {
#if defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__SSE2__)
  asm("" : "+x"(v));
#endif
}

template <class Block, class V, int... E>
inline Block first_lanes(V v, std::integer_sequence<int, E...>) {
  return __builtin_shufflevector(v, v, E...);
}

// The C dots of one row as one vector.
template <class T, int C>
using Dots = typename BlockRow<T, C>::type;

template <class T, int C>
inline Dots<T, C> dots_of(const Vec<T> (&v)[C]) {
  if constexpr (C <= lanes<T>) {
    return first_lanes<Dots<T, C>>(sums<T, C>(v), std::make_integer_sequence<int, C>{});
  } else {
    Dots<T, C> result{};
    for (int c = 0; c < C; ++c) result[c] = horizontal_sum<T>(v[c]);
    return result;
  }
}

// emit(i, dots of x_i with the C rows of y) over `count` positions, a multiple of the lanes, for every row of x. With
// Fetch the rows come from memory and are fetched R ahead.
template <class T, int R, int C, bool Fetch, class Emit>
inline void dot_tiles(const Rows<T>& x, int64_t rows, const Rows<T>& y, int64_t count, Emit&& emit) {
  constexpr int L = lanes<T>;
  for (int64_t i0 = 0; i0 < rows; i0 += R) {
    const T* left[R];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) left[i] = x[smaller<int64_t>(i0 + i, rows - 1)];
    Vec<T> acc[R][C] = {};
    for (int64_t p = 0; p < count; p += L) {
      Vec<T> a[R];
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) {
        a[i] = load(left[i] + p);
        if constexpr (Fetch) __builtin_prefetch(left[i] + R * x.ld + p);
      }
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        Vec<T> b = load(y[c] + p);
        in_register(b);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) acc[i][c] += a[i] * b;
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) {
      if (i0 + i < rows) emit(i0 + i, dots_of<T, C>(acc[i]));
    }
  }
}

// The same for `columns` rows of y; dot_columns are there, and emit takes all of them or half.
template <class T, bool Fetch = false, class Emit>
inline void dots(const Rows<T>& x, int64_t rows, const Rows<T>& y, int64_t columns, int64_t count, Emit&& emit) {
  if (columns <= dot_columns / 2) {
    dot_tiles<T, 2 * dot_rows, dot_columns / 2, Fetch>(x, rows, y, count, emit);
  } else {
    dot_tiles<T, dot_rows, dot_columns, Fetch>(x, rows, y, count, emit);
  }
}

// acc[i][v] += rows[i][p] · vector v of `from`.
template <class T, class V_t, int R, int V>
inline void outer_step(const T* const (&rows)[R], int64_t p, const T* from, V_t (&acc)[R][V]) {
  constexpr int L = sizeof(V_t) / sizeof(T);
  V_t b[V];
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) std::memcpy(&b[v], from + v * L, sizeof b[v]);
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
    const T a = rows[i][p];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) acc[i][v] += a * b[v];
  }
}

// to[i][c] += Σ_p x_i[p] · y[p][c] over `count` positions for rows of y that are positions, V vectors of columns wide.
template <class T, class V_t, int R, int V>
inline void outer_tile(const Rows<T>& x, int64_t rows, const Rows<T>& y, int64_t count, T* to, int64_t ld) {
  constexpr int L = sizeof(V_t) / sizeof(T);
  const T* left[R];
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) left[i] = x[smaller<int64_t>(i, rows - 1)];
  V_t acc[R][V] = {};
  for (int64_t p = 0; p < count; ++p) outer_step(left, p, y[p], acc);
#pragma GCC unroll 8
  for (int i = 0; i < R; ++i) {
    if (i >= rows) break;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      V_t so_far;
      std::memcpy(&so_far, to + i * ld + v * L, sizeof so_far);
      so_far += acc[i][v];
      std::memcpy(to + i * ld + v * L, &so_far, sizeof so_far);
    }
  }
}

// Columns come in multiples of this: half a vector, where that is one of a smaller size.
template <class T>
constexpr int outer_columns = TASKVEC_VECTOR_BYTES > 16 ? lanes<T> / 2 : lanes<T>;

// The same for `columns` columns, a multiple of outer_columns.
template <class T>
inline void outer_products(const Rows<T>& x, int64_t rows, const Rows<T>& y, int64_t columns, int64_t count, T* to,
                           int64_t ld) {
  constexpr int V = TASKVEC_REGISTER_VECTORS, L = lanes<T>;
  auto strip = [&](auto tile, int64_t c0, int64_t R) {
    for (int64_t i = 0; i < rows; i += R)
      tile(Rows<T>{x[i], x.ld}, rows - i, Rows<T>{y.data + c0, y.ld}, count, to + i * ld + c0, ld);
  };
  int64_t c0 = 0;
  for (; columns - c0 >= V * L; c0 += V * L)
    strip(outer_tile<T, Vec<T>, TASKVEC_REGISTER_ROWS, V>, c0, TASKVEC_REGISTER_ROWS);
  // eight rows, for as many sums as additions are under way
  for (; columns - c0 >= L; c0 += L) strip(outer_tile<T, Vec<T>, 8, 1>, c0, 8);
  if (c0 < columns) strip(outer_tile<T, Dots<T, outer_columns<T>>, 8, 1>, c0, 8);
}

}  // namespace taskvec::TASKVEC_LEVEL
