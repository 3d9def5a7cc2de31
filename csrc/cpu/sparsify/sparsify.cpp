#include "taskvec/sparsify.h"

#include <algorithm>
#include <atomic>

#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"

namespace taskvec {

bool sparsify(const Sparsify& task, int threads) {
  // of adam a chunk is milliseconds of work
  const std::int64_t chunk = task.solver.method == Method::adam ? 64 : 4096;
  const std::int64_t items = (task.batch + chunk - 1) / chunk;
  if (items == 0) return true;
  const int workers = int(std::min<std::int64_t>(threads, items));
  const Scratch scratch(5 * task.k * 64, workers);
  std::atomic<bool> valid{true};
  parallel_for(items, workers, [&](std::int64_t item, int worker) {
    if (!kernels().sparsify(task, item * chunk, std::min(task.batch, (item + 1) * chunk), scratch.of(worker))) valid = false;
  });
  return valid;
}

}  // namespace taskvec
