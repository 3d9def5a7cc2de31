#include "taskvec/lowrank_svd.h"

#include <algorithm>

#include "kernels.h"
#include "memory.h"
#include "parallel.h"
#include "scratch.h"

namespace taskvec {

void lowrank_svd(const LowRankSVD& task, int threads) {
  if (task.batch == 0) return;
  const int workers = int(std::min<std::int64_t>(threads, task.batch));
  const Scratch scratch(kernels().lowrank_scratch(task), workers);
  const std::int64_t k = std::min({task.r, task.b.length, task.a.length}), size = task.dtype == DType::f64 ? 8 : 4;
  prefer_large_pages(task.u_t, task.batch * k * task.b.length * size);
  prefer_large_pages(task.vh, task.batch * k * task.a.length * size);
  parallel_for(task.batch, workers, [&](std::int64_t index, int worker) { kernels().lowrank_svd(task, index, scratch.of(worker)); });
}

}  // namespace taskvec
