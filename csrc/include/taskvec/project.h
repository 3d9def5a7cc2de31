// diag(Uᴴ τ V) for a batch of targets, each on the directions of its own source: τ = scale · B · A, or dense.
#pragma once

#include <cstdint>

#include "taskvec/dtype.h"
#include "taskvec/factor.h"

namespace taskvec {

// A factor and its storage type.
struct Operand {
  DType dtype;
  Factor factor;
};

struct ProjectArgs {
  std::int64_t batch, k, r;
  Operand u, vh;        // k directions
  Operand b, a;         // r directions
  const double* scale;  // [batch]
  bool clip;
  bool f64;  // computed and written in double, else in float
  void* d;   // [batch, k], contiguous
};

struct ProjectDenseArgs {
  std::int64_t batch, k;
  Operand u, vh;  // k directions
  Operand tau;    // m directions (its rows) of n positions
  bool clip;
  bool f64;
  void* d;  // [batch, k], contiguous
};

// Both throw std::bad_alloc.
void project(const ProjectArgs& args, int threads);
void project_dense(const ProjectDenseArgs& args, int threads);

}  // namespace taskvec
