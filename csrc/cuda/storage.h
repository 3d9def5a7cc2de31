// Storage types on a GPU, readable on the host as well: bits, and what they are worth.
#pragma once

#include <cstring>

#include "numerics/common.h"

namespace taskvec::TASKVEC_LEVEL {

struct F16 {
  std::uint16_t bits;
};

struct BF16 {
  std::uint16_t bits;
};

TASKVEC_HD inline float float_of_bits(std::uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

TASKVEC_HD inline double widen(double x) { return x; }
TASKVEC_HD inline double widen(float x) { return double(x); }
TASKVEC_HD inline double widen(BF16 x) { return double(float_of_bits(std::uint32_t(x.bits) << 16)); }
TASKVEC_HD inline double widen(F16 x) {
#ifdef __CUDA_ARCH__
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
  return double(value);
#else
  // the exponent moves from 5 bits to 8 by a product, which is exact for subnormals too; infinities and NaN keep theirs
  const std::uint32_t sign = std::uint32_t(x.bits & 0x8000) << 16, rest = std::uint32_t(x.bits & 0x7fff) << 13;
  const bool special = (x.bits & 0x7c00) == 0x7c00;
  const float value = special ? float_of_bits(rest | 0x7f800000) : float_of_bits(rest) * 0x1p112f;
  return double(sign != 0 ? -value : value);
#endif
}

template <class Src>
struct OutputOf {
  typedef float type;
};
template <>
struct OutputOf<double> {
  typedef double type;
};

// Neighbours in a row: one load.
template <class Src, int Size>
struct alignas(Size * sizeof(Src)) Pack {
  static constexpr int size = Size;
  Src x[Size];
};

// Neighbours in one store: of a struct of two the compiler may make two.
TASKVEC_HD inline void store_pair(float* to, float x, float y) {
#ifdef __CUDA_ARCH__
  __stwb(reinterpret_cast<float2*>(to), make_float2(x, y));
#else
  to[0] = x, to[1] = y;
#endif
}

TASKVEC_HD inline void store_pair(double* to, double x, double y) {
#ifdef __CUDA_ARCH__
  __stwb(reinterpret_cast<double2*>(to), make_double2(x, y));
#else
  to[0] = x, to[1] = y;
#endif
}

}  // namespace taskvec::TASKVEC_LEVEL
