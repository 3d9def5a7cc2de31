// One call of pairwise: what is found once, before its blocks are computed.
#pragma once

#include <cstdint>

#include "cpu/pairwise/sign_patterns.h"
#include "taskvec/pairwise.h"

namespace taskvec {

// Pairs of one module: x_i, i in [i0, i1), with y_j, j in [j0, j1).
struct AdapterBlock {
  std::int64_t module, i0, i1, j0, j1;
  bool diagonal;  // only pairs with i <= j are wanted (i0 == j0, i1 == j1)
};

// What the epilogue of a block needs of one side's adapters: [batch * count].
struct SpectrumStats {
  const double *sum, *norm, *live;  // ΣS, ‖τ‖_F, number of non-zero S
};

// How directions are multiplied: cpu/products has a file of each.
enum class Route : int { dots, panels, fixed };
constexpr const char* route_names[] = {"dots", "panels", "fixed"};

struct Routes {
  Route u, v;  // left and right directions
};

struct PairwisePlan {
  const PairwiseArgs& args;
  SpectrumStats x, y;
  Routes routes;
  const SignPatterns *signs_x, *signs_y;  // of the directions of x and of y, where a metric uses them
};

}  // namespace taskvec
