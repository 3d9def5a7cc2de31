#include "taskvec/project.h"

#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"

namespace taskvec {

void project(const Project& task, int threads) {
  if (task.batch == 0) return;
  const std::int64_t positions = task.u.factor.length + task.vh.factor.length;
  const int workers = worth(threads, task.batch, double(task.batch) * positions * task.k * task.r);
  const Scratch scratch(kernels().project_scratch(task), workers);
  parallel_for(task.batch, workers, [&](std::int64_t item, int worker) { kernels().project(task, item, scratch.of(worker)); });
}

}  // namespace taskvec
