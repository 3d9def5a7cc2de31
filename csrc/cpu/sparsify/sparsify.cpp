#include "taskvec/sparsify.h"

#include <algorithm>
#include <atomic>

#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"

namespace taskvec {

bool sparsify(const SparsifyArgs& args, int threads) {
  // of adam a chunk is milliseconds of work
  const std::int64_t chunk = args.solver.method == Method::adam ? 64 : 4096;
  const std::int64_t items = (args.batch + chunk - 1) / chunk;
  if (items == 0) return true;
  const int workers = int(std::min<std::int64_t>(threads, items));
  const Scratch scratch(7 * args.k * 64, workers);
  std::atomic<bool> valid{true};
  parallel_for(items, workers, [&](std::int64_t item, int worker) {
    if (!kernels().sparsify(args, item * chunk, std::min(args.batch, (item + 1) * chunk), scratch.of(worker)))
      valid = false;
  });
  return valid;
}

}  // namespace taskvec
