// Reading the storage types. Part of one SIMD level, see vec.h.
#pragma once

#include <cstring>

#include "simd/half.h"
#include "simd/vec.h"
#include "taskvec/dtype.h"

namespace taskvec::TASKVEC_LEVEL {

struct Bf16 {
  std::uint16_t bits;
  explicit operator float() const {
    const std::uint32_t wide = std::uint32_t(bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof value);
    return value;
  }
  explicit operator double() const { return double(float(*this)); }
};

// Calls f with a null pointer of the storage type: f((const float*)nullptr), ...
template <class F>
inline auto with_storage(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f(static_cast<const double*>(nullptr));
    case DType::f32:
      return f(static_cast<const float*>(nullptr));
    case DType::f16:
      return f(static_cast<const Half*>(nullptr));
    case DType::bf16:
      return f(static_cast<const Bf16*>(nullptr));
  }
  __builtin_unreachable();
}

// A vector of floats as doubles; lane by lane, which GCC makes one instruction of and __builtin_convertvector four.
template <class Wide, class Floats, int... E>
inline Wide widen(Floats x, std::integer_sequence<int, E...>) {
  return Wide{double(x[E])...};
}

template <class Src, class T>
inline void convert_row(const Src* src, int64_t count, T* dst) {
  for (int64_t i = 0; i < count; ++i) dst[i] = T(src[i]);
}

}  // namespace taskvec::TASKVEC_LEVEL
