// Metrics of given spectra, a pair a lane. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/metrics/metrics.h"
#include "simd/kernels.h"

namespace taskvec::TASKVEC_LEVEL {

template <class T>
void compare_range(const CompareSpectraArgs& args, int64_t first, int64_t last, void* memory) {
  Vec<T>* s1 = static_cast<Vec<T>*>(memory);
  Vec<T>* s2 = s1 + args.k;
  for (int64_t at = first; at < last; at += lanes<T>) {
    const int count = int(smaller<int64_t>(lanes<T>, last - at));
    Vec<T> sum1{}, sum2{}, live{};
    load_spectra(static_cast<const T*>(args.s1) + at * args.k, args.k, count, s1);
    load_spectra(static_cast<const T*>(args.s2) + at * args.k, args.k, count, s2);
    for (int64_t i = 0; i < args.k; ++i) {
      sum1 += s1[i];
      live += s1[i] > T(0) ? broadcast(T(1)) : T(0) * s1[i];  // NaN stays
      sum2 += s2[i];
    }
    const Vec<T> one = broadcast(T(1)), none{};
    const Compared<T> c{args.k, s1,   s2,   s2,   sum1, sum2, one,  one,  live,      one,
                        none,   none, none, none, none, none, none, none, T(args.p), T(1)};
    for (int i = 0; i < args.metrics.count; ++i) {
      const MetricOutput& out = args.metrics.list[i];
      const Vec<T> value = metric(out.metric, c);
      for (int lane = 0; lane < count; ++lane) static_cast<T*>(out.values)[at + lane] = value[lane];
    }
  }
}

void compare_entry(const CompareSpectraArgs& args, int64_t first, int64_t last, void* scratch) {
  args.f64 ? compare_range<double>(args, first, last, scratch) : compare_range<float>(args, first, last, scratch);
}

}  // namespace taskvec::TASKVEC_LEVEL
