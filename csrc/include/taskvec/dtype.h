// Storage types of inputs.
#pragma once

namespace taskvec {

enum class DType : int { f64 = 0, f32 = 1, f16 = 2, bf16 = 3 };

constexpr int size_of(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 4 : 2; }

}  // namespace taskvec
