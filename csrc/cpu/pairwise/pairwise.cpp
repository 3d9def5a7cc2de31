#include "taskvec/pairwise.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/pairwise/all_sign_patterns.h"
#include "cpu/pairwise/cover.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"

namespace taskvec {
namespace {

// ΣS, ‖τ‖_F and the number of non-zero S of every adapter.
struct Stats {
  std::vector<double> sum, norm, live;
  const double* given;  // norms, or null

  template <class T>
  void fill(const T* s, std::int64_t adapters, std::int64_t k) {
    sum.assign(adapters, 0), norm.assign(adapters, 0), live.assign(adapters, 0);
    for (std::int64_t i = 0; i < adapters; ++i) {
      double squares = 0;
      for (std::int64_t l = 0; l < k; ++l) {
        const double value = double(s[i * k + l]);
        sum[i] += value, squares += value * value, live[i] += value > 0 ? 1 : 0 * value;  // NaN stays
      }
      norm[i] = std::sqrt(squares);
    }
  }

  Stats(const PairwiseArgs& args, const Adapters& side) : given(side.norm) {
    if (args.dtype == DType::f64) {
      fill(static_cast<const double*>(side.s), args.batch * side.count, side.k);
    } else {
      fill(static_cast<const float*>(side.s), args.batch * side.count, side.k);
    }
  }
  SpectrumStats view() const { return {sum.data(), given == nullptr ? norm.data() : given, live.data()}; }
};

class FoundPeaks {
 public:
  FoundPeaks(const PairwiseArgs& args, const Adapters& side, const Routes& routes, int threads) {
    const std::int64_t directions = args.batch * side.count * side.k;
    if (by_slices(routes.u)) find(args.dtype, side.u_t, args.m, directions, threads, u_);
    if (by_slices(routes.v)) find(args.dtype, side.vh, args.n, directions, threads, v_);
  }
  Peaks view() const { return {u_.empty() ? nullptr : u_.data(), v_.empty() ? nullptr : v_.data()}; }

 private:
  static void find(DType dtype, const void* directions, std::int64_t length, std::int64_t count, int threads,
                   std::vector<float>& peaks) {
    constexpr std::int64_t at_a_time = 64;
    peaks.resize(count);
    parallel_for((count + at_a_time - 1) / at_a_time, threads, [&](std::int64_t item, int) {
      const std::int64_t first = item * at_a_time, last = std::min(first + at_a_time, count);
      kernels().pairwise.find_peaks(dtype, directions, length, first, last, peaks.data());
    });
  }

  std::vector<float> u_, v_;
};

bool uses_signs(const PairwiseOutputs& out) {
  return std::any_of(out.metrics.list, out.metrics.list + out.metrics.count,
                     [](const MetricOutput& one) { return metric_inputs[int(one.metric)] == MetricInputs::signs; });
}

int useful_threads(const PairwiseArgs& args, int threads) {
  const double of_a_module = double(args.x.count) * args.x.k * args.y.count * args.y.k * (args.m + args.n);
  return worth(threads, threads, args.batch * of_a_module / (args.symmetric ? 2 : 1));
}

}  // namespace

void pairwise(const PairwiseArgs& given, int threads) {
  constexpr double no_weight = 0;
  PairwiseArgs args = given;
  if (args.lam == nullptr) args.lams = 1, args.lam = &no_weight;
  int workers = useful_threads(args, threads);
  const BlockSize size = block_size(args, workers);
  const auto blocks = cover(args, size);
  if (blocks.empty()) return;
  workers = int(std::min<std::int64_t>(workers, std::int64_t(blocks.size())));
  const Stats x(args, args.x), y(args, args.y);
  const bool signs = uses_signs(args.forward) || uses_signs(args.backward);
  const AllSignPatterns signs_x(signs ? args.x.k : 0), signs_y(signs ? args.y.k : 0);
  const Routes routes = kernels().pairwise.routes(args);
  const FoundPeaks x_peaks(args, args.x, routes, workers);
  const FoundPeaks y_peaks(args, args.symmetric ? Adapters{} : args.y, routes, workers);
  const PairwisePlan plan{args,           x.view(),       y.view(),
                          routes,         x_peaks.view(), args.symmetric ? x_peaks.view() : y_peaks.view(),
                          signs_x.list(), signs_y.list()};
  const std::int64_t rows =
      args.symmetric ? std::max(size.rows, size.columns) : size.rows;  // diagonal blocks are square
  const Scratch scratch(kernels().pairwise.block_scratch(args, rows, size.columns), workers);
  parallel_for(std::int64_t(blocks.size()), workers, [&](std::int64_t item, int worker) {
    kernels().pairwise.block(plan, blocks[item], scratch.of(worker));
  });
}

PairwiseRoute pairwise_route(const PairwiseArgs& args) {
  const Routes routes = kernels().pairwise.routes(args);
  return {route_names[int(routes.u)], route_names[int(routes.v)]};
}

}  // namespace taskvec
