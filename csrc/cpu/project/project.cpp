#include "taskvec/project.h"

#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"

namespace taskvec {

void project(const ProjectArgs& args, int threads) {
  if (args.batch == 0) return;
  const std::int64_t positions = args.u.factor.length + args.vh.factor.length;
  const int workers = worth(threads, args.batch, double(args.batch) * positions * args.k * args.r);
  const Scratch scratch(kernels().project_scratch(args), workers);
  parallel_for(args.batch, workers,
               [&](std::int64_t item, int worker) { kernels().project(args, item, scratch.of(worker)); });
}

}  // namespace taskvec
