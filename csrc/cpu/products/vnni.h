// Directions in 16-bit fixed point, for products of reduced precision. Part of one SIMD level, see vec.h.
#pragma once

#include "simd/convert.h"

namespace taskvec::TASKVEC_LEVEL {

// Two positions. A sum does not care about their order, so that any two may share a word if both operands agree.
using FixedPair = std::uint32_t;

// A direction of norm up to fixed_norm has all positions within 16 bits, and the sum of products of two within 32.
constexpr float fixed_scale = 32700, fixed_norm = 1.002f;
// Longer ones would exceed the error of docs/NUMERICS.md if all roundings agreed.
constexpr int64_t fixed_length = 16384;

#ifdef __AVX512BW__
constexpr bool fixed_compiled = true;
inline bool fixed_runnable() { return __builtin_cpu_supports("avx512vnni"); }

// By its name: a file compiled for VNNI could run nowhere else.
inline Vec<FixedPair> multiply_add(FixedPair a, Vec<FixedPair> b, Vec<FixedPair> sum) {
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(broadcast(a)), "v"(b));
  return sum;
}
#else
constexpr bool fixed_compiled = false;
inline bool fixed_runnable() { return false; }
#endif

// Pairs (i, i + lanes) of 2 · lanes positions.
inline Vec<FixedPair> fixed_pairs(const float* x) {
  constexpr float shift = 0x1.8p23f;  // the sum's last bits are the rounded integer
  const Vec<float> low = load(x) * fixed_scale + shift, high = load(x + lanes<float>) * fixed_scale + shift;
  return (reinterpret_cast<Vec<FixedPair>>(low) & 0xffffu) | (reinterpret_cast<Vec<FixedPair>>(high) << 16);
}

// In place: sums of products to floats.
inline void fixed_to_float(float* row, int64_t count) {
  for (int64_t i = 0; i < count; i += lanes<float>) {
    const auto sum = reinterpret_cast<Vec<std::int32_t>>(load(row + i));
    store(row + i, __builtin_convertvector(sum, Vec<float>) * (1 / (fixed_scale * fixed_scale)));
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
