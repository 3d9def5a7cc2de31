// Panels: rows and columns of a product as words, in the order in which a register tile reads them. Part of one SIMD
// level, see vec.h.
#pragma once

#include "cpu/products/gram_block.h"
#include "cpu/products/register_tile.h"
#include "simd/convert.h"

namespace taskvec::TASKVEC_LEVEL {

// A number a word.
template <class T>
struct Numbers {
  using Word = T;
  using Value = T;                     // what is made a word
  static constexpr int positions = 1;  // of a direction, in a word

  static Vec<T> pack(const T* values) { return load(values); }
  static Vec<T> multiply_add(T a, Vec<T> b, Vec<T> sum) { return sum + a * b; }
};

// A vector of words from the next `positions` of a row, zeros after them.
template <class Words, class Src>
inline auto load_words(const Src* from, int64_t positions) {
  using Value = typename Words::Value;
  constexpr int64_t full = lanes<typename Words::Word> * Words::positions;
  if constexpr (std::is_same_v<Value, Src>) {
    if (positions >= full) return Words::pack(from);
  }
  alignas(64) Value values[full] = {};
  if (positions >= full) {
    convert_row(from, full, values);
  } else {
    convert_row(from, positions, values);
  }
  return Words::pack(values);
}

// Words that hold `count` positions. Several to a word are `lanes` apart: whole vectors.
template <class Words>
constexpr int64_t words_of(int64_t count) {
  constexpr int positions = Words::positions;
  return positions == 1 ? count : round_up(count, positions * lanes<typename Words::Word>) / positions;
}

// A panel rows: dst[row][depth].
template <class Words, class Src>
inline void pack_rows(const Src* x, int64_t ldx, int64_t rows, Span span, typename Words::Word* dst) {
  using Word = typename Words::Word;
  constexpr int64_t step = lanes<Word> * Words::positions;
  for (int64_t row = 0; row < rows; ++row) {
    const Src* from = x + row * ldx + span.first;
    for (int64_t p = 0; p < span.count; p += step) {
      store(dst + row * panel_depth<Word> + p / Words::positions, load_words<Words>(from + p, span.count - p));
    }
  }
}

// B panels: dst[panel][q][panel_columns]; column c is row source[c] of y. Missing columns are zero.
template <class Words, class Src>
inline void pack_columns(const Src* y, int64_t ldy, const int64_t* source, int64_t columns, Span span,
                         typename Words::Word* dst) {
  using Word = typename Words::Word;
  constexpr int N = lanes<Word>;
  constexpr int64_t step = N * Words::positions, width = panel_columns<Word>;
  for (int64_t c0 = 0; c0 < round_up(columns, N); c0 += N) {
    Word* out = dst + c0 / width * (width * panel_depth<Word>)+c0 % width;
    const Src* rows[N];
    const int present = int(smaller<int64_t>(N, columns - c0));
    for (int lane = 0; lane < present; ++lane) rows[lane] = y + source[c0 + lane] * ldy + span.first;
    for (int64_t p = 0; p < span.count; p += step) {
      Vec<Word> block[N];
      if (present == N && p + step <= span.count) {
#pragma GCC unroll 16
        for (int lane = 0; lane < N; ++lane) block[lane] = load_words<Words>(rows[lane] + p, step);
      } else {
        alignas(64) Word values[N * N] = {};
        for (int lane = 0; lane < present; ++lane)
          store(values + lane * N, load_words<Words>(rows[lane] + p, span.count - p));
        std::memcpy(block, values, sizeof block);
      }
      transpose_stage<N / 2, N>(block);
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) store(out + (p / Words::positions + i) * width, block[i]);
    }
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
