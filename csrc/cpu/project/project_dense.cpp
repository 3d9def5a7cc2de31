#include <algorithm>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"
#include "taskvec/project.h"

namespace taskvec {

void project_dense(const ProjectDenseArgs& args, int threads) {
  if (args.batch == 0) return;
  // the cut depends on shapes alone: the same bits for any number of threads
  const std::int64_t m = args.u.factor.length, n = args.vh.factor.length;
  const std::int64_t parts = (m + dense_rows - 1) / dense_rows, items = args.batch * parts;
  const int workers = worth(threads, items, double(args.batch) * m * n * args.k);
  const Scratch scratch(kernels().project_dense_scratch(args), workers);
  std::vector<std::int64_t> packed(workers, -1);  // the matrix whose V a worker has
  std::vector<double> sums(items * args.k);
  parallel_for(items, workers, [&](std::int64_t item, int worker) {
    const std::int64_t index = item / parts, row0 = item % parts * dense_rows;
    if (packed[worker] != index) kernels().pack_v(args, index, scratch.of(worker));
    packed[worker] = index;
    kernels().project_rows(args, index, row0, std::min(row0 + dense_rows, m), &sums[item * args.k], scratch.of(worker));
  });
  for (std::int64_t at = 0; at < args.batch * args.k; ++at) {
    double d = 0;
    for (std::int64_t part = 0; part < parts; ++part) d += sums[(at / args.k * parts + part) * args.k + at % args.k];
    if (args.clip && d < 0) d = 0;  // NaN stays
    args.f64 ? void(static_cast<double*>(args.d)[at] = d) : void(static_cast<float*>(args.d)[at] = float(d));
  }
}

}  // namespace taskvec
