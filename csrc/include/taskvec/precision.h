// How products may be rounded, in the words of torch.set_float32_matmul_precision.
#pragma once

namespace taskvec {

// medium: inputs of a product may be rounded to some 8 bits, where the CPU gains by it. high is as medium on a CPU
// with AMX, as highest on any other. docs/NUMERICS.md states the errors.
enum class Precision : int { highest, high, medium };

}  // namespace taskvec
