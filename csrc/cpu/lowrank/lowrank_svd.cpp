#include "taskvec/lowrank_svd.h"

#include <algorithm>
#include <utility>

#include "cpu/memory.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"

namespace taskvec {

void lowrank_svd(const LowRankSVDArgs& args, int threads) {
  if (args.batch == 0) return;
  const double r = double(args.r),
               products = double(args.batch) * r * r * (3 * (args.b.length + args.a.length) + 20 * r);
  const int workers = worth(threads, args.batch, products);
  const Scratch scratch(kernels().lowrank_scratch(args), workers);
  const std::int64_t k = std::min({args.r, args.b.length, args.a.length}), size = args.dtype == DType::f64 ? 8 : 4;
  for (const auto& [out, length] : {std::pair(args.u_t, args.b.length), std::pair(args.vh, args.a.length)}) {
    prefer_large_pages(out.data, ((args.batch - 1) * out.batch_stride + k * length) * size);
  }
  // runs of matrices: two threads that first touch one large page would wait for each other
  const std::int64_t run = std::max<std::int64_t>(1, args.batch / (4 * workers)), runs = (args.batch + run - 1) / run;
  parallel_for(runs, workers, [&](std::int64_t item, int worker) {
    for (std::int64_t index = item * run; index < std::min(args.batch, (item + 1) * run); ++index) {
      kernels().lowrank_svd(args, index, scratch.of(worker));
    }
  });
}

}  // namespace taskvec
