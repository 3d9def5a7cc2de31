// What a product multiplies: the directions of one block of adapters. Part of one SIMD level, see vec.h.
//
// A product is a policy, one way to multiply them, in a file of its own:
//   usable(args, length)          whether a call takes it for directions of this length: by shapes, precision and CPU
//                                 alone, so that a pair has the same bits wherever the blocks are cut
//   gram(block, packing, gram)    gram[row][column] = X_row · Y_column of the whole block
// and, but for slices, whose tiles have another order:
//   Word, rows, columns, depth    what is multiplied, the register tile, and words of a direction packed at a time
//   pack_x, pack_y, multiply      operands of x and of y, and their product
// cpu/products/routes.h chooses one.
#pragma once

#include "numerics/common.h"

namespace taskvec::TASKVEC_LEVEL {

constexpr int64_t long_spectrum = 32;  // directions of an adapter from which the products are what costs

// The directions of one adapter among a block's columns.
struct ColumnPlace {
  int64_t first, step;  // column of direction 0, and from one direction to the next
};

// The columns of a block are the directions of y in groups of adapters: [group][direction][adapter of the group], so
// that lanes are pairs and no step of the epilogue works across lanes.
struct Columns {
  int64_t adapters, k, group;  // `group` adapters each, the last may have fewer

  int64_t count() const { return adapters * k; }
  int64_t groups() const { return ceil_div(adapters, group); }
  int64_t size(int64_t g) const { return smaller(group, adapters - g * group); }
  int64_t offset(int64_t g) const { return g * group * k; }
  int64_t group_of_column(int64_t c) const { return c / (group * k); }
  // Adapters up to the end of a group.
  int64_t end(int64_t g) const { return g * group + size(g); }
  ColumnPlace place(int64_t j) const { return {offset(j / group) + j % group, size(j / group)}; }
  // Row of [adapter][direction] storage that column c holds.
  int64_t source(int64_t c) const {
    const int64_t g = group_of_column(c), within = c % (group * k);
    return (g * group + within % size(g)) * k + within / size(g);
  }
};

// Directions stored with their positions contiguous.
template <class Src>
struct GramBlock {
  const Src *x, *y;  // [rows][length], and [adapter][direction][length]
  int64_t length;
  int64_t rows, k_x;  // directions of x, and of one of its adapters
  Columns columns;    // directions of y
  bool diagonal;      // x is y: adapters i and j are wanted where i <= j
  int64_t ld;         // from one row of the products to the next
  // largest magnitudes of the directions, NaN of one that is not finite; for slices
  const float *peaks_x, *peaks_y;
};

// Positions of the directions that are packed at a time: [first, first + count).
struct Span {
  int64_t first, count;
};

// Memory to pack into.
template <class T>
struct Packing {
  T *rows, *columns;
  int64_t* source;              // [columns], row of y that a column holds
  float *of_rows, *of_columns;  // [rows], [columns]: squares of norms for fixed point, units of slices
  std::int8_t* slices;          // as many bytes as slice_bytes of routes.h says
};

}  // namespace taskvec::TASKVEC_LEVEL
