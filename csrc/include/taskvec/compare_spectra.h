// The metrics of two spectra alone.
#pragma once

#include <cstdint>

#include "taskvec/metrics.h"

namespace taskvec {

// s1, s2 are [batch, k] and the values of a metric [batch], of double when f64, else of float.
struct CompareSpectraArgs {
  bool f64;
  std::int64_t batch, k;
  const void *s1, *s2;
  double p;               // of lp
  MetricOutputs metrics;  // of spectra alone
};

void compare_spectra(const CompareSpectraArgs& args, int threads);

}  // namespace taskvec
