// C = X Yᵀ for rows stored with the long dimension contiguous: packing and the register-tile kernel.
// Part of one SIMD level, see vec.h.
#pragma once

#include "convert.h"

namespace taskvec::TASKVEC_LEVEL {

// A register tile is `tile_rows` × (`tile_vectors` vectors); the depth of a panel keeps it in the L1 and L2 caches.
constexpr int tile_rows = TASKVEC_TILE_ROWS;
constexpr int tile_vectors = TASKVEC_TILE_VECTORS;
template <class T>
constexpr int tile_columns = tile_vectors * lanes<T>;
template <class T>
constexpr int depth = 2048 / int(sizeof(T));

// What is read next: a product fetches it into the caches, in pieces of a panel's depth, while it runs.
struct Ahead {
  static constexpr int most = 2 * tile_rows;
  const void* piece[most];
  int count = 0;

  void add(const void* from) {
    if (count < most) piece[count++] = from;
  }
};

// C[R rows][V vectors] (+)= A · B over `count` of the depth. A: rows `depth` apart; B: [depth][tile_columns].
template <class T, int R, int V>
inline void tile_product(const T* A, const T* B, T* C, int64_t ldc, int64_t count, bool accumulate, const Ahead& ahead) {
  constexpr int L = lanes<T>;
  constexpr int64_t line = 64 / int64_t(sizeof(T));
  Vec<T> acc[R][V];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) acc[i][v] = Vec<T>{};
  }
  for (int64_t q0 = 0; q0 < count; q0 += line) {
    // a few lines at a time: the core waits for no more than a dozen
    for (int piece = 0; piece < ahead.count; ++piece) __builtin_prefetch(static_cast<const T*>(ahead.piece[piece]) + q0);
    const int64_t stop = smaller(q0 + line, count), row = q0 / line;
    for (int v = 0; v < V && row < R; ++v) __builtin_prefetch(C + row * ldc + v * L, 1);
    for (int64_t q = q0; q < stop; ++q) {
      Vec<T> b[V];
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) b[v] = load(B + q * tile_columns<T> + v * L);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        const T a = A[i * depth<T> + q];
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) acc[i][v] += a * b[v];
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      T* c = C + i * ldc + v * L;
      store(c, accumulate ? load(c) + acc[i][v] : acc[i][v]);
    }
  }
}

template <class T>
using TileProduct = void (*)(const T*, const T*, T*, int64_t, int64_t, bool, const Ahead&);

template <class T, int R, int V>
__attribute__((noinline)) void tile_product_entry(const T* A, const T* B, T* C, int64_t ldc, int64_t count, bool accumulate,
                                                  const Ahead& ahead) {
  tile_product<T, R, V>(A, B, C, ldc, count, accumulate, ahead);
}

// The kernel for the last rows and vectors of a block, where the tile is not full.
template <class T, int R = tile_rows, int V = tile_vectors>
inline TileProduct<T> tile_kernel(int rows, int vectors) {
  if constexpr (V > 1) {
    if (vectors < V) return tile_kernel<T, R, V - 1>(rows, vectors);
  }
  if constexpr (R > 1) {
    if (rows < R) return tile_kernel<T, R - 1, V>(rows, vectors);
  }
  return &tile_product_entry<T, R, V>;
}

// A panel rows: dst[row][depth] from `rows` rows of X, columns [k0, k0 + count).
template <class T, class Src>
inline void pack_rows(const Src* x, int64_t ldx, int64_t rows, int64_t k0, int64_t count, T* dst) {
  for (int64_t row = 0; row < rows; ++row) convert_row(x + row * ldx + k0, count, dst + row * depth<T>);
}

// B panels: dst[panel][q][tile_columns]; column c of the block is row source[c] of Y. Missing columns are zero.
template <class T, class Src>
inline void pack_columns(const Src* y, int64_t ldy, const int64_t* source, int64_t columns, int64_t k0, int64_t count, T* dst) {
  constexpr int N = lanes<T>;
  for (int64_t c0 = 0; c0 < round_up(columns, N); c0 += N) {
    T* out = dst + c0 / tile_columns<T> * (tile_columns<T> * depth<T>)+c0 % tile_columns<T>;
    const Src* rows[N];
    const int present = int(smaller<int64_t>(N, columns - c0));
    for (int lane = 0; lane < N; ++lane) rows[lane] = y + source[c0 + smaller(lane, present - 1)] * ldy + k0;
    for (int64_t q = 0; q < count; q += N) {
      typename BlockRow<T, N>::type block[N];
      if (std::is_same_v<T, Src> && present == N && q + N <= count) {
#pragma GCC unroll 16
        for (int lane = 0; lane < N; ++lane) std::memcpy(&block[lane], rows[lane] + q, sizeof block[lane]);
      } else {
        alignas(64) T values[N * N] = {};
        for (int lane = 0; lane < present; ++lane) convert_row(rows[lane] + q, smaller<int64_t>(N, count - q), values + lane * N);
        std::memcpy(block, values, sizeof block);
      }
      transpose_stage<N / 2, N>(block);
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) store(out + (q + i) * tile_columns<T>, block[i]);
    }
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
