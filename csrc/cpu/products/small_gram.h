// gram[row][column] = X_row · Y_column of a tile too small to pay for panels, adapter by adapter, so that on the diagonal
// nothing is multiplied that is not wanted. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/products/dots.h"
#include "cpu/products/panels.h"
#include "simd/kernels.h"

namespace taskvec::TASKVEC_LEVEL {

// Whether dots are cheaper than panels: they reach two thirds of their rate, and pack nothing. `fixed`: panels of half
// the words. Asked of a whole call, so that its pairs have the same bits wherever the tiles are cut.
inline bool few_directions(const PairwiseArgs& args, bool fixed) {
  const int64_t x = args.x.count * args.x.k, y = args.y.count * args.y.k;
  return smaller(x, y) <= (args.symmetric && !fixed ? 128 : 64);
}

// The directions of one adapter among a tile's columns.
struct Place {
  int64_t first, step;  // column of direction 0, and from one direction to the next
};

// `rows` rows of x where they lie if they can be multiplied there, else converted to `dst`, [rows][dot_depth].
template <class T, class Src>
inline Rows<T> in_type(const Src* x, int64_t length, int64_t rows, int64_t p0, int64_t count, T* dst) {
  if constexpr (std::is_same_v<T, Src>) {
    if (count % lanes<T> == 0) return {x + p0, length};
  }
  const int64_t padded = round_up(count, lanes<T>);
  for (int64_t i = 0; i < rows; ++i) {
    convert_row(x + i * length + p0, count, dst + i * dot_depth);
    for (int64_t p = count; p < padded; ++p) dst[i * dot_depth + p] = T(0);
  }
  return {dst, dot_depth};
}

// place(j) says where adapter j of y goes. packed_x: most_rows rows, packed_y: dot_columns rows, of dot_depth.
template <class T, class Src, class PlaceOf>
void small_gram(const Src* x, int64_t n_rows, int64_t k_x, const Src* y, int64_t adapters, int64_t k_y, int64_t length, bool diagonal,
                PlaceOf&& place_of, T* packed_x, int64_t most_rows, T* packed_y, T* gram, int64_t ld) {
  for (int64_t p0 = 0; p0 < length; p0 += dot_depth) {
    const int64_t count = smaller(dot_depth, length - p0), padded = round_up(count, lanes<T>);
    for (int64_t r0 = 0; r0 < n_rows; r0 += most_rows) {
      const Rows<T> left = in_type(x + r0 * length, length, smaller(most_rows, n_rows - r0), p0, count, packed_x);
      for (int64_t j = 0; j < adapters; ++j) {
        const Place place = place_of(j);
        const int64_t rows = smaller(smaller(most_rows, n_rows - r0), (diagonal ? (j + 1) * k_x : n_rows) - r0);
        for (int64_t l0 = 0; l0 < k_y && rows > 0; l0 += dot_columns) {
          const int64_t columns = smaller<int64_t>(dot_columns, k_y - l0);
          const bool whole = columns == dot_columns || columns == dot_columns / 2;
          Rows<T> right = in_type(y + (j * k_y + l0) * length, length, columns, p0, count, packed_y);
          if (!whole && right.data != packed_y) {
            for (int64_t c = 0; c < columns; ++c) std::memcpy(packed_y + c * dot_depth, right[c], std::size_t(count) * sizeof(T));
            right = {packed_y, dot_depth};
          }
          for (int64_t at = columns * dot_depth; !whole && at < dot_columns * dot_depth; ++at) packed_y[at] = T(0);
          T* const to = gram + r0 * ld + place.first + l0 * place.step;
          dots(left, rows, right, columns, padded, [&](int64_t i, auto sums) {
            constexpr int C = int(sizeof(sums) / sizeof(T));
            for (int c = 0; c < C && c < columns; ++c) {
              T& at = to[i * ld + c * place.step];
              at = p0 == 0 ? sums[c] : at + sums[c];
            }
          });
        }
      }
    }
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
