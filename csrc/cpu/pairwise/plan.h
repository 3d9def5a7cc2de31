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
enum class Route : int { dots, panels, fixed, three_slices, two_slices };
constexpr const char* route_names[] = {"dots", "panels", "fixed", "3 slices", "2 slices"};

struct Routes {
  Route u, v;  // left and right directions
};

inline bool by_slices(Route route) { return route == Route::three_slices || route == Route::two_slices; }

// Largest magnitudes of the directions of one side, NaN of one that is not finite: [batch * count * k]; null where its
// products are not by slices.
struct Peaks {
  const float *u, *v;
};

struct PairwisePlan {
  const PairwiseArgs& args;
  SpectrumStats x, y;
  Routes routes;
  Peaks x_peaks, y_peaks;
  const SignPatterns *signs_x, *signs_y;  // of the directions of x and of y, where a metric uses them
};

// What a level has of it.
struct PairwiseKernels {
  Routes (*routes)(const PairwiseArgs&);
  // peaks[first, last) of directions [count][length]
  void (*find_peaks)(DType dtype, const void* directions, std::int64_t length, std::int64_t first, std::int64_t last,
                     float* peaks);
  std::int64_t (*block_scratch)(const PairwiseArgs&, std::int64_t rows, std::int64_t columns);  // bytes a worker
  void (*block)(const PairwisePlan&, const AdapterBlock&, void* scratch);
};

}  // namespace taskvec
