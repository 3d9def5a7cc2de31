// The products of a block by packed panels, the loops that every packed product shares. Part of one SIMD level, see
// vec.h.
#pragma once

#include "cpu/products/packing.h"

namespace taskvec::TASKVEC_LEVEL {

// Rows whose A panels stay in the L2 cache while all B panels pass.
constexpr int64_t packed_rows = 30 * register_rows;

// What the policies of packed products have in common. Words: what a panel holds, see packing.h.
template <class Words>
struct PackedPanels {
  using Word = typename Words::Word;
  static constexpr int64_t rows = register_rows, columns = panel_columns<Word>;
  static constexpr int64_t depth = panel_depth<Word>, positions = depth * Words::positions;

  // The kernel for `rows` by `vectors` vectors, and the words that it multiplies for `count` positions.
  static RegisterTile<Word> multiply(int rows, int vectors) { return tile_of<Words>(rows, vectors); }
  static int64_t words(int64_t count) { return words_of<Words>(count); }
};

// gram[row][column] = X_row · Y_column; on the diagonal only what pairs i <= j need. Rows and columns are packed just
// before the first product that reads them, from lines the product before it fetched.
template <class Product, class T, class Src>
class PanelGram {
  using Word = typename Product::Word;

 public:
  PanelGram(const GramBlock<Src>& block, const Packing<T>& packing, T* gram)
      : block_(block),
        packing_(packing),
        // words are as large as T
        rows_(reinterpret_cast<Word*>(packing.rows)),
        columns_(reinterpret_cast<Word*>(packing.columns)),
        gram_(reinterpret_cast<Word*>(gram)) {}

  void multiply() const {
    const int64_t n_columns = block_.columns.count();
    for (int64_t k0 = 0; k0 < block_.length; k0 += Product::positions) {
      const Span span{k0, smaller(Product::positions, block_.length - k0)};
      for (int64_t r0 = 0; r0 < block_.rows; r0 += packed_rows) {
        const int64_t r1 = smaller(r0 + packed_rows, block_.rows);
        int64_t packed = r0;
        for (int64_t c0 = 0; c0 < n_columns; c0 += Product::columns) {
          packed = multiply({span, r0, r1, c0, smaller(c0 + Product::columns, n_columns)}, packed);
        }
      }
    }
  }

 private:
  // Rows [r0, r1) by one panel of columns [c0, c1), over a panel's depth.
  struct Panel {
    Span span;
    int64_t r0, r1, c0, c1;
  };

  // What the panel after that one reads of its columns: words that are packed, or rows of y that are still to be.
  struct Upcoming {
    bool packed;
    int64_t first;        // position
    int64_t column, end;  // columns that are not fetched yet
    int64_t a_product;    // of them, while a register tile is multiplied
  };

  // Adapters after the panel's last group pair with it only below the diagonal.
  int64_t wanted_rows(const Panel& panel) const {
    return block_.diagonal ? block_.columns.end(block_.columns.group_of_column(panel.c1 - 1)) * block_.k_x
                           : block_.rows;
  }

  Upcoming upcoming(const Panel& panel, int64_t rows) const {
    const bool last_panel = panel.c1 == block_.columns.count(), last_rows = panel.r1 == block_.rows;
    Upcoming next;
    next.packed = last_panel ? !last_rows : panel.r0 > 0;
    next.first = last_panel && last_rows ? panel.span.first + Product::positions : panel.span.first;
    next.column = last_panel ? 0 : panel.c1;
    next.end =
        next.first < block_.length ? smaller(next.column + Product::columns, block_.columns.count()) : next.column;
    next.a_product = smaller(Product::rows, Product::columns * Product::rows / larger<int64_t>(rows, 1) + 1);
    return next;
  }

  void fetch(Upcoming& next, Ahead& ahead) const {
    for (const int64_t end = smaller(next.column + next.a_product, next.end); next.column < end; ++next.column) {
      if (next.packed) {
        ahead.add(columns_ + next.column * Product::depth);
      } else {
        ahead.add(block_.y + packing_.source[next.column] * block_.length + next.first);
      }
    }
  }

  // Packs a register tile's rows from `row` on, and returns where they end; those after them are fetched.
  int64_t pack_rows(const Panel& panel, int64_t row, Ahead& ahead) const {
    const int64_t end = smaller(row + Product::rows, panel.r1);
    Product::pack_x(block_, packing_, row, end, panel.span, rows_ + (row - panel.r0) * Product::depth);
    for (int64_t i = end; i < smaller(end + Product::rows, panel.r1); ++i) {
      ahead.add(block_.x + i * block_.length + panel.span.first);
    }
    return end;
  }

  // The rows before `packed` are packed; returns where that is now.
  int64_t multiply(const Panel& panel, int64_t packed) const {
    Word* const B = columns_ + panel.c0 * Product::depth;
    if (panel.r0 == 0) Product::pack_y(block_, packing_, panel.c0, panel.c1, panel.span, B);
    const int64_t stop = smaller(panel.r1, wanted_rows(panel));
    const int vectors = int(ceil_div(panel.c1 - panel.c0, lanes<Word>));
    const RegisterTile<Word> full = Product::multiply(Product::rows, vectors);
    Upcoming next = upcoming(panel, stop - panel.r0);
    for (int64_t row = panel.r0; row < stop; row += Product::rows) {
      const int rows = int(smaller(Product::rows, stop - row));
      Ahead ahead;
      if (row >= packed) packed = pack_rows(panel, row, ahead);
      fetch(next, ahead);
      const RegisterTile<Word> tile = rows == Product::rows ? full : Product::multiply(rows, vectors);
      tile(rows_ + (row - panel.r0) * Product::depth, B, gram_ + row * block_.ld + panel.c0, block_.ld,
           Product::words(panel.span.count), panel.span.first > 0, ahead);
    }
    return packed;
  }

  const GramBlock<Src>& block_;
  const Packing<T>& packing_;
  Word *const rows_, *const columns_, *const gram_;
};

}  // namespace taskvec::TASKVEC_LEVEL
