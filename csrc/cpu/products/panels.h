// C = X Yᵀ for rows stored with the long dimension contiguous: packing and the register-tile kernel.
// Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/products/vnni.h"

namespace taskvec::TASKVEC_LEVEL {

// What a panel holds is a word: a number, or a pair of them in fixed point.
template <class Word>
constexpr int per_word = 1;
template <>
constexpr int per_word<FixedPair> = 2;

template <class T>
inline Vec<T> multiply_add(T a, Vec<T> b, Vec<T> sum) {
  return sum + a * b;
}

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

// C[R rows][V vectors] (+)= A · B over `count` words of the depth. A: rows `depth` apart; B: [depth][tile_columns].
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
        for (int v = 0; v < V; ++v) acc[i][v] = multiply_add(a, b[v], acc[i][v]);
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

// A vector of words from the next `positions` of a row, zeros after them.
template <class Word, class Src>
inline Vec<Word> load_words(const Src* from, int64_t positions) {
  constexpr int64_t full = lanes<Word> * per_word<Word>;
  auto pack = [](const auto* values) {
    if constexpr (per_word<Word> == 2) {
      return fixed_pairs(values);
    } else {
      return load(values);
    }
  };
  using Value = std::conditional_t<per_word<Word> == 2, float, Word>;
  if constexpr (std::is_same_v<Value, Src>) {
    if (positions >= full) return pack(from);
  }
  alignas(64) Value values[full] = {};
  if (positions >= full) {
    convert_row(from, full, values);
  } else {
    convert_row(from, positions, values);
  }
  return pack(values);
}

// Words that hold `count` positions. A pair is of two positions `lanes` apart: whole vectors.
template <class Word>
constexpr int64_t words(int64_t count) {
  return per_word<Word> == 1 ? count : round_up(count, per_word<Word> * lanes<Word>) / per_word<Word>;
}

// A panel rows: dst[row][depth] from `rows` rows of X, columns [k0, k0 + count).
template <class Word, class Src>
inline void pack_rows(const Src* x, int64_t ldx, int64_t rows, int64_t k0, int64_t count, Word* dst) {
  constexpr int64_t step = lanes<Word> * per_word<Word>;
  for (int64_t row = 0; row < rows; ++row) {
    const Src* from = x + row * ldx + k0;
    for (int64_t p = 0; p < count; p += step) store(dst + row * depth<Word> + p / per_word<Word>, load_words<Word>(from + p, count - p));
  }
}

// B panels: dst[panel][q][tile_columns]; column c of the block is row source[c] of Y. Missing columns are zero.
template <class Word, class Src>
inline void pack_columns(const Src* y, int64_t ldy, const int64_t* source, int64_t columns, int64_t k0, int64_t count, Word* dst) {
  constexpr int N = lanes<Word>;
  constexpr int64_t step = N * per_word<Word>;
  for (int64_t c0 = 0; c0 < round_up(columns, N); c0 += N) {
    Word* out = dst + c0 / tile_columns<Word> * (tile_columns<Word> * depth<Word>)+c0 % tile_columns<Word>;
    const Src* rows[N];
    const int present = int(smaller<int64_t>(N, columns - c0));
    for (int lane = 0; lane < present; ++lane) rows[lane] = y + source[c0 + lane] * ldy + k0;
    for (int64_t p = 0; p < count; p += step) {
      Vec<Word> block[N];
      if (present == N && p + step <= count) {
#pragma GCC unroll 16
        for (int lane = 0; lane < N; ++lane) block[lane] = load_words<Word>(rows[lane] + p, step);
      } else {
        alignas(64) Word values[N * N] = {};
        for (int lane = 0; lane < present; ++lane) store(values + lane * N, load_words<Word>(rows[lane] + p, count - p));
        std::memcpy(block, values, sizeof block);
      }
      transpose_stage<N / 2, N>(block);
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) store(out + (p / per_word<Word> + i) * tile_columns<Word>, block[i]);
    }
  }
}

template <class Src>
inline float sum_of_squares(const Src* from, int64_t count) {
  Vec<float> sum{};
  for (int64_t p = 0; p < count; p += lanes<float>) {
    const Vec<float> x = load_words<float>(from + p, count - p);
    sum += x * x;
  }
  return horizontal_sum<float>(sum);
}

}  // namespace taskvec::TASKVEC_LEVEL
