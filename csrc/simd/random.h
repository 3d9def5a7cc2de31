// Random numbers that depend on a seed and a place alone: splitmix64 as a hash. Part of one SIMD level, see vec.h.
#pragma once

#include "simd/vec.h"

namespace taskvec::TASKVEC_LEVEL {

inline std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

inline int64_t pair_seed(int64_t source, int64_t target) {
  return int64_t(mix(mix(std::uint64_t(source)) + std::uint64_t(target)));
}

// Draw number `place` of N(0, 1), by Box and Muller.
inline double normal(int64_t seed, int64_t place) {
  const std::uint64_t bits = std::uint64_t(pair_seed(seed, place));
  const double u = (double(bits >> 32) + 1) * 0x1p-32, v = double(bits & 0xffffffff) * 0x1p-32;  // u in (0, 1]
  return __builtin_sqrt(-2 * __builtin_log(u)) * __builtin_cos(6.283185307179586 * v);
}

}  // namespace taskvec::TASKVEC_LEVEL
