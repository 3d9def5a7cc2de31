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
  static constexpr int mantissa = 23, terms = 5, terms_of_log1p = 7;
  static constexpr Int bias = 127, sqrt_half = 0x3f3504f3;
};
template <>
struct FloatBits<double> {
  using Int = std::int64_t;
  static constexpr int mantissa = 52, terms = 11, terms_of_log1p = 16;
  static constexpr Int bias = 1023, sqrt_half = 0x3fe6a09e667f3bcd;
};

// 2 artanh(s) / s by its series in s², up to s^(2 · terms).
template <int terms, class T>
inline Vec<T> artanh_series(Vec<T> s) {
  const Vec<T> s2 = s * s;
  Vec<T> series = broadcast(T(2) / T(2 * terms + 1));
#pragma GCC unroll 16
  for (int k = terms - 1; k >= 0; --k) series = series * s2 + T(2) / T(2 * k + 1);
  return series;
}

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
  const Vec<T> s = (m - T(1)) / (m + T(1));
  return s * artanh_series<Bits::terms, T>(s) +
         __builtin_convertvector(e, Vec<T>) * T(0.693147180559945309417232121458);
}

// log(1 + y) for 0 ≤ y ≤ 1, as 2 artanh(y / (2 + y)). Relative error below 2 eps of T.
template <class T>
inline Vec<T> log1p(Vec<T> y) {
  const Vec<T> s = y / (y + T(2));
  return s * artanh_series<FloatBits<T>::terms_of_log1p, T>(s);
}

}  // namespace taskvec::TASKVEC_LEVEL
