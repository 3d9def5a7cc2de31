// Directions as slices of 8 bits: x = unit · Σ_s 2^(-8s) X_s with X_s int8 and a power of two for unit, so that
// products of slices are integers. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/products/packing.h"
#include "cpu/products/tiles.h"

namespace taskvec::TASKVEC_LEVEL {

// `count` slices. Their products of one weight, at most three a position, share a sum, which is exact in 32 bits for
// 43,690 positions. A chunk is shorter: its slices stay in the L2 cache.
template <int count>
struct Slices {
  static_assert(count == 2 || count == 3);
  static constexpr int steps = 8;                                        // of a tile's 64 positions, in a chunk
  static constexpr int64_t positions = steps * tile_row_bytes;           // of a chunk
  static constexpr int64_t panel_bytes = steps * count * tile_bytes;     // 16 directions of a chunk: [step][slice]
  static constexpr float largest = count == 3 ? 8355711.f : 32639.f;     // integer whose first slice is 127
  static constexpr std::uint32_t bias = count == 3 ? 0x808080 : 0x8080;  // makes bytes from -128 to 127
};

// Rows that are sliced: finite, and within the bound of docs/NUMERICS.md, which grows with their largest entry. A unit
// direction of up to 4096 positions always is. `peak`: the largest magnitude, NaN of a row that is not finite.
inline bool sliceable(float peak, int64_t length) {
  return peak == 0 || (peak >= 0x1p-60f && peak * peak * float(length) <= 4096);
}

// Powers of two: entries times `up` are the integers that are sliced. Both are 0 for rows that are zero or not sliced.
struct RowScale {
  float up, unit;
};

template <int count>
inline RowScale row_scale(float peak, int64_t length) {
  if (peak == 0 || !sliceable(peak, length)) return {0, 0};
  std::uint32_t bits;
  std::memcpy(&bits, &peak, sizeof bits);
  // peak · up is in [2^(8 count - 2), 2^(8 count - 1))
  bits = (std::uint32_t(253 + 8 * count - 1) - (bits >> 23)) << 23;
  float up;
  std::memcpy(&up, &bits, sizeof up);
  if (peak * up > Slices<count>::largest) up *= 0.5f;
  return {up, (count == 3 ? 65536.f : 256.f) / up};
}

template <class Src>
inline float row_peak(const Src* x, int64_t length) {
  Vec<float> most{}, known{};
  for (int64_t p = 0; p < length; p += lanes<float>) {
    const Vec<float> value = load_words<Numbers<float>>(x + p, length - p), size = value < 0 ? -value : value;
    most = size > most ? size : most;
    known += value * 0.f;  // NaN, once one is not finite
  }
  float peak = 0;
  for (int lane = 0; lane < lanes<float>; ++lane) peak = larger(peak, most[lane]);
  return peak + horizontal_sum<float>(known);
}

using Bytes = Vec<std::uint8_t>;

template <int byte, int... E>
inline Bytes each_fourth(Bytes a, Bytes b, std::integer_sequence<int, E...>) {
  return __builtin_shufflevector(a, b, (E < int(sizeof...(E)) / 2 ? 4 * E + byte : -1)...);
}
template <int... E>
inline Bytes low_halves(Bytes a, Bytes b, std::integer_sequence<int, E...>) {
  constexpr int half = int(sizeof...(E)) / 2;
  return __builtin_shufflevector(a, b, (E < half ? E : E + half)...);
}

// Slice `count - 1 - byte` of four vectors of biased integers.
template <int byte>
inline Bytes slice_of(const Vec<std::uint32_t> (&integers)[4]) {
  using All = std::make_integer_sequence<int, TASKVEC_VECTOR_BYTES>;
  Bytes of[4];
  for (int q = 0; q < 4; ++q) of[q] = reinterpret_cast<Bytes>(integers[q]);
  return low_halves(each_fourth<byte>(of[0], of[1], All{}), each_fourth<byte>(of[2], of[3], All{}), All{});
}

// `positions` of a direction, zeros after them, to its row of every tile of a panel.
template <int count, class Src>
inline void slice_row(const Src* x, int64_t positions, float up, std::int8_t* row) {
  constexpr int L = lanes<float>;
  for (int64_t p = 0; p < positions; p += tile_row_bytes, row += count * tile_bytes) {
    for (int64_t at = 0; at < tile_row_bytes; at += 4 * L) {
      Vec<std::uint32_t> integers[4];
      for (int q = 0; q < 4; ++q) {
        const int64_t first = p + at + q * L;
        const Vec<float> exact = load_words<Numbers<float>>(x + first, positions - first) * up;
        const Vec<float> half = exact < 0 ? broadcast(-0.5f) : broadcast(0.5f);
        const auto nearest = __builtin_convertvector(exact + half, Vec<std::int32_t>);
        integers[q] = (reinterpret_cast<Vec<std::uint32_t>>(nearest) + Slices<count>::bias) ^ Slices<count>::bias;
      }
      if constexpr (count == 3) store(reinterpret_cast<std::uint8_t*>(row) + at, slice_of<2>(integers));
      constexpr int64_t next = (count - 2) * tile_bytes;
      store(reinterpret_cast<std::uint8_t*>(row) + next + at, slice_of<1>(integers));
      store(reinterpret_cast<std::uint8_t*>(row) + next + tile_bytes + at, slice_of<0>(integers));
    }
  }
}

// A tile as the right operand: to[k][row] = words 4 k of the rows, which are 64 bytes each.
inline void turn_tile(const std::uint32_t* const (&rows)[tile_rows], std::uint32_t* to) {
  constexpr int L = lanes<float>, words = int(tile_row_bytes) / 4;
  for (int r0 = 0; r0 < tile_rows; r0 += L) {
    for (int k0 = 0; k0 < words; k0 += L) {
      Vec<std::uint32_t> block[L];
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) block[i] = load(rows[r0 + i] + k0);
      transpose_stage<L / 2, L>(block);
#pragma GCC unroll 16
      for (int i = 0; i < L; ++i) store(to + (k0 + i) * tile_rows + r0, block[i]);
    }
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
