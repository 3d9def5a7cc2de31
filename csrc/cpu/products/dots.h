// Products of a block too small to pay for panels, adapter by adapter where the directions lie, so that on the diagonal
// nothing is multiplied that is not wanted. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/products/fixed.h"
#include "cpu/products/row_products.h"

namespace taskvec::TASKVEC_LEVEL {

template <class T>
struct DotProducts {
  using Word = T;
  static constexpr int64_t rows = packed_rows * panel_depth<T> / dot_depth;  // that fit where panels are packed
  static constexpr int64_t columns = dot_columns, depth = dot_depth;

  // Dots reach two thirds of the rate of panels, or of the half as many words of fixed point, and pack nothing. On the
  // diagonal they waste less, but for long spectra, whose panels are narrow there.
  static bool usable(const PairwiseArgs& args, int64_t length) {
    const int64_t x = args.x.count * args.x.k, y = args.y.count * args.y.k;
    const bool saves = args.symmetric && args.x.k < long_spectrum && !FixedProducts<T>::usable(args, length);
    return smaller(x, y) <= (saves ? 128 : 64);
  }

  // `count` directions, where they lie if they can be multiplied there, else converted to dst[count][depth].
  template <class Src>
  static Rows<T> pack_x(const Src* x, int64_t length, int64_t count, Span span, T* dst) {
    if constexpr (std::is_same_v<T, Src>) {
      if (span.count % lanes<T> == 0) return {x + span.first, length};
    }
    const int64_t padded = round_up(span.count, lanes<T>);
    for (int64_t i = 0; i < count; ++i) {
      convert_row(x + i * length + span.first, span.count, dst + i * depth);
      for (int64_t p = span.count; p < padded; ++p) dst[i * depth + p] = T(0);
    }
    return {dst, depth};
  }

  // The same, and zeros for what a register tile has more.
  template <class Src>
  static Rows<T> pack_y(const Src* y, int64_t length, int64_t count, Span span, T* dst) {
    const Rows<T> found = pack_x(y, length, count, span, dst);
    if (count == columns || count == columns / 2) return found;
    if (found.data != dst) {
      for (int64_t c = 0; c < count; ++c) std::memcpy(dst + c * depth, found[c], std::size_t(span.count) * sizeof(T));
    }
    for (int64_t at = count * depth; at < columns * depth; ++at) dst[at] = T(0);
    return {dst, depth};
  }

  // to[row][place of the column] (+)= x_row · y_column over whole vectors.
  static void multiply(const Rows<T>& x, int64_t n_rows, const Rows<T>& y, int64_t n_columns, int64_t count,
                       bool accumulate, T* to, int64_t ld, int64_t step) {
    dots(x, n_rows, y, n_columns, count, [&](int64_t i, auto sums) {
      constexpr int C = int(sizeof(sums) / sizeof(T));
      for (int c = 0; c < C && c < n_columns; ++c) {
        T& at = to[i * ld + c * step];
        at = accumulate ? at + sums[c] : sums[c];
      }
    });
  }

  template <class Src>
  static void gram(const GramBlock<Src>& block, const Packing<T>& packing, T* gram) {
    if (block.diagonal) clear_below_diagonal(block, gram);
    const int64_t length = block.length, k_y = block.columns.k;
    for (int64_t p0 = 0; p0 < length; p0 += depth) {
      const Span span{p0, smaller(depth, length - p0)};
      const int64_t padded = round_up(span.count, lanes<T>);
      for (int64_t r0 = 0; r0 < block.rows; r0 += rows) {
        const int64_t here = smaller(rows, block.rows - r0);
        const Rows<T> x = pack_x(block.x + r0 * length, length, here, span, packing.rows);
        for (int64_t j = 0; j < block.columns.adapters; ++j) {
          const ColumnPlace place = block.columns.place(j);
          const int64_t wanted = smaller(here, (block.diagonal ? (j + 1) * block.k_x : block.rows) - r0);
          for (int64_t l0 = 0; l0 < k_y && wanted > 0; l0 += columns) {
            const int64_t now = smaller(columns, k_y - l0);
            const Rows<T> y = pack_y(block.y + (j * k_y + l0) * length, length, now, span, packing.columns);
            T* const to = gram + r0 * block.ld + place.first + l0 * place.step;
            multiply(x, wanted, y, now, padded, p0 > 0, to, block.ld, place.step);
          }
        }
      }
    }
  }

 private:
  // What is not multiplied and the lanes of the epilogue nevertheless read.
  template <class Src>
  static void clear_below_diagonal(const GramBlock<Src>& block, T* gram) {
    const Columns& all = block.columns;
    for (int64_t j = 0; j < all.adapters; ++j) {
      const ColumnPlace place = all.place(j);
      const int64_t stop = smaller(block.rows, all.end(j / all.group) * block.k_x);
      for (int64_t row = (j + 1) * block.k_x; row < stop; ++row) {
        for (int64_t l = 0; l < all.k; ++l) gram[row * block.ld + place.first + l * place.step] = T(0);
      }
    }
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
