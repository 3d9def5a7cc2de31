// The metrics, by number: the order in which bindings and kernels name them.
#pragma once

namespace taskvec {

enum class Metric : int {
  l1,
  l2,
  linf,
  lp,
  rec,
  entropy,
  entropy_projected,
  cosine,
  residual,
  energy,
  excess,
  overlap_u,
  overlap_v,
};

constexpr const char* metric_names[] = {
    "l1", "l2", "linf", "lp", "rec", "entropy", "entropy_projected", "cosine", "residual", "energy", "excess", "overlap_u", "overlap_v",
};
constexpr int metric_count = sizeof(metric_names) / sizeof(metric_names[0]);

}  // namespace taskvec
