// Products of directions by slices of 8 bits, on the tiles of AMX: sums of integers, which no order changes. Part of
// one SIMD level, see vec.h.
#pragma once

#include "cpu/products/dots.h"
#include "cpu/products/slices.h"

namespace taskvec::TASKVEC_LEVEL {

// The sums of a product of two tiles of directions, on their way into the Gram block. They are put together a few rows
// at a time while the next product runs: after it that took a sixth of the time, between its instructions none.
template <int count>
class Rest {
 public:
  const std::int32_t* sums = nullptr;  // [weight][16 rows][16 columns]
  float* to = nullptr;
  int64_t ld = 0;
  int rows = 0;
  bool first = true;                                          // chunk of the directions
  const float *row_units = nullptr, *column_units = nullptr;  // of the last one

  void some(int n) {
    for (; n > 0 && done_ < rows; --n) row(done_++);
  }
  void all() { some(rows); }

 private:
  void row(int i) const {
    constexpr int L = lanes<float>;
    for (int c = 0; c < tile_rows; c += L) {
      const std::int32_t* const from = sums + i * tile_rows + c;
      Vec<float> sum = number(from, count);
      // times a power of two: exact, so that it is one rounding with or without fused operations
      for (int weight = count - 1; weight >= 0; --weight) sum = sum * 0x1p-8f + number(from, weight);
      float* const at = to + i * ld + c;
      if (!first) sum += load(at);
      store(at, row_units == nullptr ? sum : sum * row_units[i] * load(column_units + c));
    }
  }
  static Vec<float> number(const std::int32_t* from, int weight) {
    return __builtin_convertvector(load(from + weight * tile_rows * tile_rows), Vec<float>);
  }

  int done_ = 0;
};

// gram[row][column] = X_row · Y_column; on the diagonal only what pairs i <= j need. Slices of a chunk of the rows stay
// in the L2 cache. A tile of columns is sliced just before all rows pass it; the next one is fetched meanwhile.
template <int count, class Tiles, class Src>
class SliceGram {
  using Format = Slices<count>;

 public:
  SliceGram(const GramBlock<Src>& block, const Packing<float>& packing, float* gram)
      : block_(block),
        packing_(packing),
        gram_(gram),
        left_(packing.slices + tiles_of(block.rows) * Format::panel_bytes),
        right_(left_ + Format::panel_bytes) {}

  // Bytes of Packing::slices.
  static int64_t bytes(int64_t rows) { return (tiles_of(rows) + 2) * Format::panel_bytes; }

  void multiply() {
    const int64_t n_columns = block_.columns.count(), length = block_.length;
    for (int64_t i = 0; i < block_.rows; ++i) packing_.of_rows[i] = row_scale<count>(block_.peaks_x[i], length).unit;
    for (int64_t c = 0; c < n_columns; ++c) {
      packing_.of_columns[c] = row_scale<count>(block_.peaks_y[packing_.source[c]], length).unit;
    }
    for (int64_t c = n_columns; c < tiles_of(n_columns) * tile_rows; ++c) packing_.of_columns[c] = 0;
    tiles_.configure();
    for (int64_t p0 = 0; p0 < length; p0 += Format::positions) {
      multiply_chunk({p0, smaller(Format::positions, length - p0)});
    }
    rest_.all();
    tiles_.release();
    multiply_others();
  }

 private:
  static int64_t tiles_of(int64_t directions) { return ceil_div(directions, tile_rows); }
  bool same_directions() const { return block_.diagonal; }

  void multiply_chunk(Span span) {
    const int64_t n_columns = block_.columns.count(), n_rows = block_.rows;
    for (int64_t row = 0; row < tiles_of(n_rows) * tile_rows; ++row) {
      slice(block_.x, block_.peaks_x, row < n_rows ? row : -1, span,
            packing_.slices + row / tile_rows * Format::panel_bytes + row % tile_rows * tile_row_bytes);
      fetch<nearest_cache>(block_.x, row + 1 < n_rows ? row + 1 : -1, span);
    }
    const int steps = int(ceil_div(span.count, tile_row_bytes));
    const bool last = span.first + span.count == block_.length;
    for (int64_t c0 = 0; c0 < n_columns; c0 += tile_rows) {
      turn_columns(c0, span, steps);
      const int64_t stop = wanted_rows(smaller(c0 + tile_rows, n_columns));
      for (int64_t row = 0; row < stop; row += tile_rows) {
        if (row / tile_rows < tile_rows) fetch_column(c0 + tile_rows + row / tile_rows, span);
        float* const to = gram_ + row * block_.ld + c0;
        multiply_tile(packing_.slices + row / tile_rows * Format::panel_bytes, steps, to);
        rest_.all();
        rest_ = Rest<count>();
        rest_.sums = sums_[turn_], rest_.first = span.first == 0;
        rest_.to = to, rest_.ld = block_.ld;
        rest_.rows = int(smaller(tile_rows, block_.rows - row));
        if (last) rest_.row_units = packing_.of_rows + row, rest_.column_units = packing_.of_columns + c0;
        turn_ ^= 1;
      }
    }
  }

  // Adapters after the group of the last column pair with it only below the diagonal.
  int64_t wanted_rows(int64_t column_end) const {
    const Columns& all = block_.columns;
    return block_.diagonal ? all.end(all.group_of_column(column_end - 1)) * block_.k_x : block_.rows;
  }

  // A chunk of a direction as a row of left operands, [step][slice][16 rows][64 positions]; zeros of none, -1.
  void slice(const Src* all, const float* peaks, int64_t direction, Span span, std::int8_t* row) const {
    const float up = direction < 0 ? 0 : row_scale<count>(peaks[direction], block_.length).up;
    if (up > 0) {
      slice_row<count>(all + direction * block_.length + span.first, span.count, up, row);
    } else {
      for (int64_t p = 0; p < Format::panel_bytes; p += tile_bytes) std::memset(row + p, 0, tile_row_bytes);
    }
  }

  // A direction's chunk is too far from the one before for the hardware to guess.
  static constexpr int nearest_cache = 3, second_cache = 2;
  template <int cache>
  void fetch(const Src* all, int64_t direction, Span span) const {
    if (direction < 0) return;
    const Src* const from = all + direction * block_.length + span.first;
    for (int64_t p = 0; p < span.count; p += 64 / int64_t(sizeof(Src))) __builtin_prefetch(from + p, 0, cache);
  }
  void fetch_column(int64_t column, Span span) const {
    if (same_directions() || column >= block_.columns.count()) return;
    fetch<second_cache>(block_.y, packing_.source[column], span);
  }

  // A tile of columns as right operands: one format is stored, the other made of it for all rows of the block.
  void turn_columns(int64_t c0, Span span, int steps) {
    const std::int8_t* from[tile_rows];
    for (int i = 0; i < tile_rows; ++i) {
      const int64_t source = c0 + i < block_.columns.count() ? packing_.source[c0 + i] : -1;
      if (same_directions() && source >= 0) {
        from[i] = packing_.slices + source / tile_rows * Format::panel_bytes + source % tile_rows * tile_row_bytes;
      } else {
        slice(block_.y, block_.peaks_y, source, span, left_ + i * tile_row_bytes);
        from[i] = left_ + i * tile_row_bytes;
      }
    }
    for (int tile = 0; tile < steps * count; ++tile) {
      const std::uint32_t* rows[tile_rows];
      for (int i = 0; i < tile_rows; ++i) rows[i] = reinterpret_cast<const std::uint32_t*>(from[i] + tile * tile_bytes);
      turn_tile(rows, reinterpret_cast<std::uint32_t*>(right_ + tile * tile_bytes));
    }
  }

  // Sums of the products of slices s and t with s + t <= count, by s + t, to sums_[turn_].
  // What they are added to next is fetched meanwhile.
  void multiply_tile(const std::int8_t* x, int steps, const float* to_come) {
    constexpr int rows_a_pause = int(tile_rows) / (2 * Format::steps);
    const std::int8_t* y = right_;
    tiles_.template zero<0>(), tiles_.template zero<1>(), tiles_.template zero<2>();
    if constexpr (count == 3) tiles_.template zero<3>();
    for (int step = 0; step < steps; ++step, x += count * tile_bytes, y += count * tile_bytes) {
      for (int i = 2 * step; i < 2 * step + 2; ++i) __builtin_prefetch(to_come + i * block_.ld, 1);
      if constexpr (count == 3) {
        tiles_.template load<4>(x), tiles_.template load<7>(y);
        tiles_.template multiply_add<0, 4, 7>();
        tiles_.template load<5>(x + tile_bytes);
        tiles_.template multiply_add<1, 5, 7>();
        tiles_.template load<6>(x + 2 * tile_bytes);
        tiles_.template multiply_add<2, 6, 7>();
        rest_.some(rows_a_pause);
        tiles_.template load<7>(y + tile_bytes);
        tiles_.template multiply_add<1, 4, 7>(), tiles_.template multiply_add<2, 5, 7>();
        tiles_.template multiply_add<3, 6, 7>();
        tiles_.template load<7>(y + 2 * tile_bytes);
        tiles_.template multiply_add<2, 4, 7>(), tiles_.template multiply_add<3, 5, 7>();
        rest_.some(rows_a_pause);
      } else {
        tiles_.template load<4>(x), tiles_.template load<6>(y);
        tiles_.template multiply_add<0, 4, 6>();
        rest_.some(rows_a_pause);
        tiles_.template load<5>(x + tile_bytes);
        tiles_.template multiply_add<1, 5, 6>();
        rest_.some(rows_a_pause);
        tiles_.template load<7>(y + tile_bytes);
        tiles_.template multiply_add<1, 4, 7>(), tiles_.template multiply_add<2, 5, 7>();
      }
    }
    constexpr int64_t size = tile_rows * tile_rows;
    std::int32_t* const to = sums_[turn_];
    tiles_.template store<0>(to), tiles_.template store<1>(to + size), tiles_.template store<2>(to + 2 * size);
    if constexpr (count == 3) tiles_.template store<3>(to + 3 * size);
  }

  // Rows and columns that are not sliced are multiplied where they lie, so that NaN goes in and comes out.
  void multiply_others() const {
    const int64_t length = block_.length, n_columns = block_.columns.count();
    for (int64_t i = 0; i < block_.rows; ++i) {
      if (sliceable(block_.peaks_x[i], length)) continue;
      GramBlock<Src> row = block_;
      row.x += i * length, row.rows = row.k_x = 1, row.diagonal = false;
      DotProducts<float>::gram(row, packing_, gram_ + i * block_.ld);
    }
    for (int64_t c = 0; c < n_columns; ++c) {
      const int64_t source = packing_.source[c];
      if (sliceable(block_.peaks_y[source], length)) continue;
      GramBlock<Src> column = block_;
      column.y += source * length, column.columns = {1, 1, 1}, column.diagonal = false;
      DotProducts<float>::gram(column, packing_, gram_ + c);
    }
  }

  const GramBlock<Src>& block_;
  const Packing<float>& packing_;
  float* const gram_;
  std::int8_t *const left_, *const right_;  // slices of a tile of columns, as left and as right operands
  Tiles tiles_;
  Rest<count> rest_;
  int turn_ = 0;
  alignas(64) std::int32_t sums_[2][(count + 1) * tile_rows * tile_rows];
};

#ifdef TASKVEC_AMX
using LevelTiles = AmxTiles;
#else
using LevelTiles = EmulatedTiles;
#endif

// Directions of the smaller side up to which slices do not pay on AMX, and positions below which they do not: measured
// on a busy machine, and so to the next power of two.
constexpr int64_t slices_break_even = 128, slices_least_length = 512;

template <class T, int count>
struct SliceProducts {
  static bool usable(const PairwiseArgs&, int64_t) { return false; }
  static int64_t bytes(int64_t) { return 0; }
  template <class Src>
  static void gram(const GramBlock<Src>&, const Packing<T>&, T*) {}
};

template <int count>
struct SliceProducts<float, count> {
  static bool usable(const PairwiseArgs& args, int64_t length) {
    if (count != (args.precision == Precision::highest ? 3 : 2)) return false;
    if constexpr (LevelTiles::emulated) return emulates_amx();
    const int64_t directions = smaller(args.x.count * args.x.k, args.y.count * args.y.k);
    return directions > slices_break_even && length >= slices_least_length;
  }

  static int64_t bytes(int64_t rows) { return SliceGram<count, LevelTiles, float>::bytes(rows); }

  template <class Src>
  static void gram(const GramBlock<Src>& block, const Packing<float>& packing, float* gram) {
    SliceGram<count, LevelTiles, Src>(block, packing, gram).multiply();
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
