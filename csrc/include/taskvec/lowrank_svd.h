// Thin SVD of tau = scale * B * A for a batch of factors.
#pragma once

#include <cstdint>

#include "taskvec/dtype.h"
#include "taskvec/factor.h"

namespace taskvec {

// One result of every matrix: contiguous within a matrix, `batch_stride` elements from one to the next.
struct BatchedOutput {
  void* data = nullptr;
  std::int64_t batch_stride = 0;
};

// b has r directions of m positions, a r directions of n.
struct LowRankSVDArgs {
  // inputs
  DType dtype;
  std::int64_t batch, r;
  Factor b, a;
  const double* scale;  // [batch]
  // outputs; double when dtype is f64, else float; k = min(r, m, n)
  BatchedOutput u_t;  // [batch, k, m]
  BatchedOutput s;    // [batch, k]
  BatchedOutput vh;   // [batch, k, n]
};

// Throws std::bad_alloc.
void lowrank_svd(const LowRankSVDArgs& args, int threads);

}  // namespace taskvec
