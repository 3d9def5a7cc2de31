// Thin SVD of tau = scale * B * A for a batch of factors.
#pragma once

#include <cstdint>

#include "taskvec/dtype.h"

namespace taskvec {

// One factor seen as r directions of `length` positions: element (direction, position) of matrix `index` is at
// data + (index * batch_stride + direction * direction_stride + position * position_stride) * size_of(dtype).
struct Factor {
  const void* data;
  std::int64_t length;  // m for B, n for A
  std::int64_t batch_stride, direction_stride, position_stride;
};

struct LowRankSVD {
  // inputs
  DType dtype;
  std::int64_t batch, r;
  Factor b, a;
  const double* scale;  // [batch]
  // outputs, contiguous; double when dtype is f64, else float; k = min(r, m, n)
  void* u_t;  // [batch, k, m]
  void* s;    // [batch, k]
  void* vh;   // [batch, k, n]
};

// Throws std::bad_alloc.
void lowrank_svd(const LowRankSVD& task, int threads);

}  // namespace taskvec
