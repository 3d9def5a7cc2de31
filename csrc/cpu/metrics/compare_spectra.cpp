#include "taskvec/compare_spectra.h"

#include <algorithm>

#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"

namespace taskvec {

void compare_spectra(const CompareSpectraArgs& args, int threads) {
  constexpr std::int64_t chunk = 4096;
  const std::int64_t items = (args.batch + chunk - 1) / chunk;
  if (items == 0) return;
  const int workers = int(std::min<std::int64_t>(threads, items));
  const Scratch scratch(2 * args.k * 64, workers);
  parallel_for(items, workers, [&](std::int64_t item, int worker) {
    kernels().compare_spectra(args, item * chunk, std::min(args.batch, (item + 1) * chunk), scratch.of(worker));
  });
}

}  // namespace taskvec
