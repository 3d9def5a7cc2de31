#include <algorithm>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"
#include "taskvec/project.h"

namespace taskvec {

void project_dense(const ProjectDense& task, int threads) {
  if (task.batch == 0) return;
  // the cut depends on shapes alone: the same bits for any number of threads
  const std::int64_t m = task.u.factor.length, n = task.vh.factor.length;
  const std::int64_t parts = (m + dense_rows - 1) / dense_rows, items = task.batch * parts;
  const int workers = worth(threads, items, double(task.batch) * m * n * task.k);
  const Scratch scratch(kernels().project_dense_scratch(task), workers);
  std::vector<std::int64_t> packed(workers, -1);  // the matrix whose V a worker has
  std::vector<double> sums(items * task.k);
  parallel_for(items, workers, [&](std::int64_t item, int worker) {
    const std::int64_t index = item / parts, row0 = item % parts * dense_rows;
    if (packed[worker] != index) kernels().pack_v(task, index, scratch.of(worker));
    packed[worker] = index;
    kernels().project_rows(task, index, row0, std::min(row0 + dense_rows, m), &sums[item * task.k], scratch.of(worker));
  });
  for (std::int64_t at = 0; at < task.batch * task.k; ++at) {
    double d = 0;
    for (std::int64_t part = 0; part < parts; ++part) d += sums[(at / task.k * parts + part) * task.k + at % task.k];
    if (task.clip && d < 0) d = 0;  // NaN stays
    task.f64 ? void(static_cast<double*>(task.d)[at] = d) : void(static_cast<float*>(task.d)[at] = float(d));
  }
}

}  // namespace taskvec
