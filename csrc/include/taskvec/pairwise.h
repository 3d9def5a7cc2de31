// Every task vector of x projected on the directions of every one of y, and back.
#pragma once

#include <cstdint>

#include "taskvec/dtype.h"
#include "taskvec/metrics.h"
#include "taskvec/precision.h"
#include "taskvec/sparsify.h"

namespace taskvec {

// The canonical form of `count` adapters of k directions, for each module of the batch.
struct Adapters {
  std::int64_t count, k;
  const void* u_t;               // [batch, count, k, m]
  const void* vh;                // [batch, count, k, n]
  const void* s;                 // [batch, count, k] of the output type
  const double* norm = nullptr;  // [batch, count], ‖τ‖ where it is longer than S, as of a truncated update; null: ‖S‖₂
  const std::int64_t* seed = nullptr;  // [batch, count], of Adam's random starts; or null
};

// Where the results of one direction go: of the output type, double when dtype is f64, else float.
struct PairwiseOutputs {
  MetricOutputs metrics;    // [lams, batch, sources, targets] each
  void* spectra = nullptr;  // S₂, [lams, batch, sources, targets, k of the source], or null
  void* d = nullptr;        // before clipping, [batch, sources, targets, k of the source], or null
};

struct PairwiseArgs {
  DType dtype;  // of u_t and vh
  std::int64_t batch, m, n;
  Adapters x, y;                      // y == x when symmetric
  bool symmetric;                     // forward then holds every ordered pair, and backward is not used
  PairwiseOutputs forward, backward;  // x_i → y_j and y_j → x_i
  Precision precision = Precision::highest;
  double p = 1;  // of lp
  std::int64_t lams = 1;
  const double* lam = nullptr;  // [lams], the weights λ of step 3; null: one of 0
  Solver solver = {};
};

// Throws std::bad_alloc.
void pairwise(const PairwiseArgs& args, int threads);

// How a call multiplies its directions: "dots", "panels", "fixed", "3 slices" or "2 slices".
struct PairwiseRoute {
  const char *u, *v;  // left and right ones; they differ only where m or n is too long for one of the ways
};

// From shapes, precision and the CPU alone: pointers are not read.
PairwiseRoute pairwise_route(const PairwiseArgs& args);

}  // namespace taskvec
