// Tile registers: eight of 16 rows of 64 bytes, and the product of two of int8 added to one of int32. Part of one SIMD
// level, see vec.h. What multiplies by tiles takes their operations as a policy: those of the CPU, or the same in plain
// C++, for machines without AMX and for the sanitizers.
#pragma once

#include <cstring>

#include "simd/vec.h"

namespace taskvec::TASKVEC_LEVEL {

constexpr int64_t tile_rows = 16, tile_row_bytes = 64, tile_bytes = tile_rows * tile_row_bytes;

// Traps where the CPU would: on tiles that are not configured; and where it would not: on a sum that leaves 32 bits.
class EmulatedTiles {
 public:
  static constexpr bool emulated = true;

  void configure() {
    configured_ = true;
    std::memset(tiles_, 0, sizeof tiles_);
  }
  void release() { configured_ = false; }

  template <int t>
  void zero() {
    std::memset(&tile(t), 0, sizeof(Tile));
  }
  template <int t>
  void load(const void* from) {
    std::memcpy(&tile(t), from, sizeof(Tile));
  }
  template <int t>
  void store(void* to) {
    std::memcpy(to, &tile(t), sizeof(Tile));
  }

  // sums[m][n] += Σ_k x[m][k] · y[k / 4][n][k % 4]
  template <int sums, int x, int y>
  void multiply_add() {
    Tile &to = tile(sums), &left = tile(x), &right = tile(y);
    for (int m = 0; m < 16; ++m) {
      std::int32_t products[16] = {}, row[16];
      for (int k = 0; k < 16; ++k) {
        for (int n = 0; n < 16; ++n) {
          for (int q = 0; q < 4; ++q) products[n] += left.row[m][4 * k + q] * right.row[k][4 * n + q];
        }
      }
      std::memcpy(row, to.row[m], sizeof row);
      for (int n = 0; n < 16; ++n) {
        if (__builtin_add_overflow(row[n], products[n], &row[n])) __builtin_trap();
      }
      std::memcpy(to.row[m], row, sizeof row);
    }
  }

 private:
  struct Tile {
    std::int8_t row[tile_rows][tile_row_bytes];
  };
  Tile& tile(int t) {
    if (!configured_) __builtin_trap();
    return tiles_[t];
  }

  bool configured_ = false;
  Tile tiles_[8];
};

#ifdef TASKVEC_AMX
// By their names: the compiler's own functions take no template arguments.
class AmxTiles {
 public:
  static constexpr bool emulated = false;

  void configure() {
    struct alignas(64) Shapes {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {};
      std::uint8_t rows[16] = {};
    } shapes;
    for (int t = 0; t < 8; ++t) shapes.row_bytes[t] = tile_row_bytes, shapes.rows[t] = tile_rows;
    asm volatile("ldtilecfg %0" ::"m"(shapes));
  }
  void release() { asm volatile("tilerelease"); }

  template <int t>
  void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(t));
  }
  template <int t>
  void load(const void* from) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(tile_row_bytes), "i"(t) : "memory");
  }
  template <int t>
  void store(void* to) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(tile_row_bytes), "i"(t) : "memory");
  }
  template <int sums, int x, int y>
  void multiply_add() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sums), "i"(x), "i"(y));
  }
};
#endif

}  // namespace taskvec::TASKVEC_LEVEL
