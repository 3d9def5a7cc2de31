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

// Neighbours in stores of 16 bytes: of a struct the compiler may make several.
template <int Size>
TASKVEC_HD inline void store_run(float* to, const Pack<float, Size>& from) {
#ifdef __CUDA_ARCH__
  TASKVEC_UNROLL
  for (int i = 0; i < Size; i += 4) {
    __stwb(reinterpret_cast<float4*>(to + i), make_float4(from.x[i], from.x[i + 1], from.x[i + 2], from.x[i + 3]));
  }
#else
  for (int i = 0; i < Size; ++i) to[i] = from.x[i];
#endif
}

template <int Size>
TASKVEC_HD inline void store_run(double* to, const Pack<double, Size>& from) {
#ifdef __CUDA_ARCH__
  TASKVEC_UNROLL
  for (int i = 0; i < Size; i += 2) __stwb(reinterpret_cast<double2*>(to + i), make_double2(from.x[i], from.x[i + 1]));
#else
  for (int i = 0; i < Size; ++i) to[i] = from.x[i];
#endif
}

}  // namespace taskvec::TASKVEC_LEVEL
