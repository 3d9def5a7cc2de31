// Every task vector of x projected on the directions of every one of y, and back.
#pragma once

#include <cstdint>

#include "taskvec/dtype.h"
#include "taskvec/metrics.h"
#include "taskvec/sparsify.h"

namespace taskvec {

// The canonical form of `count` adapters of k directions, for each module of the batch.
struct Adapters {
  std::int64_t count, k;
  const void* u_t;           // [batch, count, k, m]
  const void* vh;            // [batch, count, k, n]
  const void* s;             // [batch, count, k] of the output type
  const std::int64_t* seed;  // [batch, count], of Adam's random starts; or null
};

// Where one direction's results go; pointers to the output type (double when dtype is f64, else float).
struct Results {
  void* metrics[metric_count];  // [lams, batch, sources, targets]; null when not asked for
  void* spectra;                // [lams, batch, sources, targets, k of the source] or null
  void* d;                      // [batch, sources, targets, k of the source], before clipping, or null
};

struct Pairwise {
  DType dtype;
  std::int64_t batch, m, n;
  Adapters x, y;   // y == x when symmetric
  bool symmetric;  // forward then holds every ordered pair, and backward is not used
  double p;
  std::int64_t lams;  // weights λ of step 3, at least one
  const double* lam;
  Solver solver;
  Results forward, backward;  // x_i -> y_j and y_j -> x_i
  bool reduced = false;       // products may be rounded: "medium" of docs/NUMERICS.md
};

// Throws std::bad_alloc.
void pairwise(const Pairwise& task, int threads);

// What `pairwise` allocates besides its arguments, in bytes.
std::int64_t pairwise_scratch(const Pairwise& task, int threads);

}  // namespace taskvec
