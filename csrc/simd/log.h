// Natural logarithm of a vector. Part of one SIMD level, see vec.h.
#pragma once

#include <cstring>

#include "simd/vec.h"

namespace taskvec::TASKVEC_LEVEL {

template <class T>
struct FloatBits;
template <>
struct FloatBits<float> {
  using Int = std::int32_t;
  static constexpr int mantissa = 23, terms = 5;
  static constexpr Int bias = 127, sqrt_half = 0x3f3504f3;
};
template <>
struct FloatBits<double> {
  using Int = std::int64_t;
  static constexpr int mantissa = 52, terms = 11;
  static constexpr Int bias = 1023, sqrt_half = 0x3fe6a09e667f3bcd;
};

// log(x) for normal x > 0: x = 2^e · m with m in [√½, √2) and log m = 2 artanh(s), s = (m − 1)/(m + 1), as a series in
// s². Relative error below 4 eps of T, and below 2 eps · |log x| away from 1.
template <class T>
inline Vec<T> log(Vec<T> x) {
  using Bits = FloatBits<T>;
  using Int = typename Bits::Int;
  typedef Int IntVec __attribute__((vector_size(TASKVEC_VECTOR_BYTES)));
  IntVec bits;
  std::memcpy(&bits, &x, sizeof bits);
  const IntVec e = (bits - Bits::sqrt_half) >> Bits::mantissa;
  const IntVec reduced = bits - (e << Bits::mantissa);
  Vec<T> m;
  std::memcpy(&m, &reduced, sizeof m);
  const Vec<T> s = (m - T(1)) / (m + T(1)), s2 = s * s;
  Vec<T> series = broadcast(T(2) / T(2 * Bits::terms + 1));
#pragma GCC unroll 16
  for (int k = Bits::terms - 1; k >= 0; --k) series = series * s2 + T(2) / T(2 * k + 1);
  return s * series + __builtin_convertvector(e, Vec<T>) * T(0.693147180559945309417232121458);
}

}  // namespace taskvec::TASKVEC_LEVEL
