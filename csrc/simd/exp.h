// Exponential of a vector. Part of one SIMD level, see vec.h.
#pragma once

#include "simd/log.h"

namespace taskvec::TASKVEC_LEVEL {

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  // least: log of the smallest normal number; log 2 in two parts, the first of which times n is exact
  static constexpr float least = -87.33654475f, log2_high = 0.693359375f, log2_low = -2.12194440055e-4f;
  static constexpr int terms = 7;
};
template <>
struct ExpConstants<double> {
  static constexpr double least = -708.3964185322641, log2_high = 0.6931471803691238, log2_low = 1.9082149292705877e-10;
  static constexpr int terms = 13;
};

// 1 / k!
constexpr double inverse_factorials[] = {
    1,          1,           1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
    1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};

// exp(x) for x up to 88, or 709 in fp64: x = n log 2 + f with |f| ≤ ½ log 2, and e^f by its series. Below the normal
// numbers it is 0. Relative error below eps of T.
template <class T>
inline Vec<T> exp(Vec<T> x) {
  using Bits = FloatBits<T>;
  using Constants = ExpConstants<T>;
  using Int = typename Bits::Int;
  typedef Int IntVec __attribute__((vector_size(TASKVEC_VECTOR_BYTES)));
  constexpr T whole = T(Int(3) << (Bits::mantissa - 1));  // numbers of its size are whole, and count in their last bits
  const Vec<T> inside = x < Constants::least ? broadcast(Constants::least) : x;
  const Vec<T> turns = inside * T(1.44269504088896340736) + whole, n = turns - whole;
  const Vec<T> f = (inside - n * Constants::log2_high) - n * Constants::log2_low;
  Vec<T> series = broadcast(T(inverse_factorials[Constants::terms]));
#pragma GCC unroll 16
  for (int k = Constants::terms - 1; k >= 0; --k) series = series * f + T(inverse_factorials[k]);
  const Vec<T> base = broadcast(whole);
  IntVec bits, bits_of_base;
  std::memcpy(&bits, &turns, sizeof bits);
  std::memcpy(&bits_of_base, &base, sizeof bits_of_base);
  const IntVec power = (bits - bits_of_base + Bits::bias) << Bits::mantissa;
  Vec<T> scale;
  std::memcpy(&scale, &power, sizeof scale);
  return x < Constants::least ? Vec<T>{} : series * scale;
}

}  // namespace taskvec::TASKVEC_LEVEL
