// The metrics of two spectra alone.
#pragma once

#include <cstdint>

#include "taskvec/metrics.h"

namespace taskvec {

// s1, s2 are [batch, k] and results [batch], of double when f64, else of float.
struct CompareSpectra {
  bool f64;
  std::int64_t batch, k;
  const void *s1, *s2;
  double p;
  void* metrics[metric_count];
};

void compare_spectra(const CompareSpectra& task, int threads);

}  // namespace taskvec
