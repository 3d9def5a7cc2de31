// One block of pairs: two Gram products, then one pass that forms both directions and reduces them to metrics. Part of
// one SIMD level, see vec.h.
#pragma once

#include "cpu/pairwise/epilogue.h"
#include "cpu/products/routes.h"

namespace taskvec::TASKVEC_LEVEL {

// Narrow groups on the diagonal waste less below it, and more lanes.
template <class T>
int64_t group_size(const AdapterBlock& block, int64_t k) {
  const int64_t widest = smaller(8, lanes<T>), adapters = block.j1 - block.j0;
  if (!block.diagonal) return lanes<T>;
  return k < long_spectrum ? widest : larger<int64_t>(1, smaller(widest, adapters / 8));
}

template <class T, class Src>
void pair_block(const PairwisePlan& plan, const AdapterBlock& block, void* memory) {
  const PairwiseArgs& args = plan.args;
  const Columns columns{block.j1 - block.j0, args.y.k, group_size<T>(block, args.y.k)};
  BlockScratch<T> scratch;
  char* base = static_cast<char*>(memory);
  scratch.layout(base + (64 - reinterpret_cast<std::uintptr_t>(base) % 64) % 64, args, block.i1 - block.i0,
                 columns.adapters);
  for (int64_t c = 0; c < columns.count(); ++c) scratch.packing.source[c] = columns.source(c);
  const int64_t first_x = (block.module * args.x.count + block.i0) * args.x.k;
  const int64_t first_y = (block.module * args.y.count + block.j0) * args.y.k;
  auto gram = [&](Route route, const void* of_x, const void* of_y, const float* peaks_x, const float* peaks_y,
                  int64_t length, T* to) {
    const Src* x = static_cast<const Src*>(of_x) + first_x * length;
    const Src* y = static_cast<const Src*>(of_y) + first_y * length;
    const int64_t rows = (block.i1 - block.i0) * args.x.k;
    if (peaks_x != nullptr) peaks_x += first_x, peaks_y += first_y;
    multiply(route, GramBlock<Src>{x, y, length, rows, args.x.k, columns, block.diagonal, scratch.ld, peaks_x, peaks_y},
             scratch.packing, to);
  };
  gram(plan.routes.u, args.x.u_t, args.y.u_t, plan.x_peaks.u, plan.y_peaks.u, args.m, scratch.gram_u);
  gram(plan.routes.v, args.x.vh, args.y.vh, plan.x_peaks.v, plan.y_peaks.v, args.n, scratch.gram_v);
  Epilogue<T>(plan, block, columns, scratch).reduce();
}

void pair_block_entry(const PairwisePlan& plan, const AdapterBlock& block, void* scratch) {
  with_storage(plan.args.dtype, [&](const auto* null) {
    using Src = std::remove_cv_t<std::remove_reference_t<decltype(*null)>>;
    using T = std::conditional_t<std::is_same_v<Src, double>, double, float>;
    pair_block<T, Src>(plan, block, scratch);
  });
}

void find_peaks_entry(DType dtype, const void* directions, int64_t length, int64_t first, int64_t last, float* peaks) {
  with_storage(dtype, [&](const auto* null) {
    const auto* const x = static_cast<decltype(null)>(directions);
    for (int64_t i = first; i < last; ++i) peaks[i] = row_peak(x + i * length, length);
  });
}

int64_t pair_block_scratch_entry(const PairwiseArgs& args, int64_t row_adapters, int64_t column_adapters) {
  if (args.dtype == DType::f64) return BlockScratch<double>{}.layout(nullptr, args, row_adapters, column_adapters);
  return BlockScratch<float>{}.layout(nullptr, args, row_adapters, column_adapters);
}

constexpr PairwiseKernels pairwise_kernels = {&routes_entry, &find_peaks_entry, &pair_block_scratch_entry,
                                              &pair_block_entry};

}  // namespace taskvec::TASKVEC_LEVEL
