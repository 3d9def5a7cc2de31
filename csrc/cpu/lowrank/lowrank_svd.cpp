#include "taskvec/lowrank_svd.h"

#include <algorithm>

#include "cpu/memory.h"
#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"

namespace taskvec {

void lowrank_svd(const LowRankSVD& task, int threads) {
  if (task.batch == 0) return;
  const double r = double(task.r), products = double(task.batch) * r * r * (3 * (task.b.length + task.a.length) + 20 * r);
  const int workers = worth(threads, task.batch, products);
  const Scratch scratch(kernels().lowrank_scratch(task), workers);
  const std::int64_t k = std::min({task.r, task.b.length, task.a.length}), size = task.dtype == DType::f64 ? 8 : 4;
  prefer_large_pages(task.u_t, task.batch * k * task.b.length * size);
  prefer_large_pages(task.vh, task.batch * k * task.a.length * size);
  // runs of matrices: two threads that first touch one large page would wait for each other
  const std::int64_t run = std::max<std::int64_t>(1, task.batch / (4 * workers)), runs = (task.batch + run - 1) / run;
  parallel_for(runs, workers, [&](std::int64_t item, int worker) {
    for (std::int64_t index = item * run; index < std::min(task.batch, (item + 1) * run); ++index) {
      kernels().lowrank_svd(task, index, scratch.of(worker));
    }
  });
}

}  // namespace taskvec
