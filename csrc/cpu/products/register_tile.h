// The product of two panels, a tile of sums that stays in registers. Part of one SIMD level, see vec.h.
#pragma once

#include "simd/vec.h"

namespace taskvec::TASKVEC_LEVEL {

// A register tile is `register_rows` × (`register_vectors` vectors); the depth of a panel keeps it in the L1 and L2
// caches.
constexpr int register_rows = TASKVEC_REGISTER_ROWS;
constexpr int register_vectors = TASKVEC_REGISTER_VECTORS;
template <class Word>
constexpr int panel_columns = register_vectors * lanes<Word>;
template <class Word>
constexpr int panel_depth = 2048 / int(sizeof(Word));

// What is read next: a product fetches it into the caches, in pieces of a panel's depth, while it runs.
struct Ahead {
  static constexpr int most = 2 * register_rows;
  const void* piece[most];
  int count = 0;

  void add(const void* from) {
    if (count < most) piece[count++] = from;
  }
};

template <class Word>
using RegisterTile = void (*)(const Word* A, const Word* B, Word* C, int64_t ldc, int64_t count, bool accumulate,
                              const Ahead&);

// C[R rows][V vectors] (+)= A · B over `count` words. A: rows `panel_depth` apart; B: [depth][panel_columns].
template <class Words, int R, int V, class T = typename Words::Word>
__attribute__((noinline)) void register_tile(const T* A, const T* B, T* C, int64_t ldc, int64_t count, bool accumulate,
                                             const Ahead& ahead) {
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
    for (int piece = 0; piece < ahead.count; ++piece)
      __builtin_prefetch(static_cast<const T*>(ahead.piece[piece]) + q0);
    const int64_t stop = smaller(q0 + line, count), row = q0 / line;
    for (int v = 0; v < V && row < R; ++v) __builtin_prefetch(C + row * ldc + v * L, 1);
    for (int64_t q = q0; q < stop; ++q) {
      Vec<T> b[V];
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) b[v] = load(B + q * panel_columns<T> + v * L);
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        const T a = A[i * panel_depth<T> + q];
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) acc[i][v] = Words::multiply_add(a, b[v], acc[i][v]);
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

// The kernel of a tile that need not be full: the last rows and vectors of a block.
template <class Words, int R = register_rows, int V = register_vectors>
inline RegisterTile<typename Words::Word> tile_of(int rows, int vectors) {
  if constexpr (V > 1) {
    if (vectors < V) return tile_of<Words, R, V - 1>(rows, vectors);
  }
  if constexpr (R > 1) {
    if (rows < R) return tile_of<Words, R - 1, V>(rows, vectors);
  }
  return &register_tile<Words, R, V>;
}

}  // namespace taskvec::TASKVEC_LEVEL
