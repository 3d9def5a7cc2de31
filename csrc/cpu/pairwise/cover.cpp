#include "cpu/pairwise/cover.h"

#include <algorithm>

namespace taskvec {
namespace {

// Directions of a full block; its two Gram blocks of 512 × 1024 fp32 are 4 MiB. Off-diagonal blocks are as much work as
// diagonal ones, so that few threads end together. Smaller blocks pack more, those of 64 × 128 too much.
constexpr std::int64_t block_rows = 512, block_columns = 1024, least_columns = 128;

// Blocks of at most so many directions, of adapters at least `fewest`.
BlockSize adapters_of(const PairwiseArgs& args, std::int64_t rows, std::int64_t columns, std::int64_t fewest) {
  auto adapters = [&](std::int64_t directions, const Adapters& side) {
    return std::clamp<std::int64_t>(directions / side.k, std::min(fewest, side.count), side.count);
  };
  return {adapters(rows, args.x), adapters(columns, args.y)};
}

}  // namespace

std::vector<AdapterBlock> cover(const PairwiseArgs& args, const BlockSize& size) {
  std::vector<AdapterBlock> blocks;
  for (std::int64_t module = 0; module < args.batch; ++module) {
    for (std::int64_t j0 = 0; j0 < args.y.count; j0 += size.columns) {
      const std::int64_t j1 = std::min(j0 + size.columns, args.y.count), rows = args.symmetric ? j0 : args.x.count;
      if (args.symmetric) blocks.push_back({module, j0, j1, j0, j1, true});
      for (std::int64_t i0 = 0; i0 < rows; i0 += size.rows) {
        blocks.push_back({module, i0, std::min(i0 + size.rows, rows), j0, j1, false});
      }
    }
  }
  // large ones first, so that the threads end together
  auto work = [](const AdapterBlock& b) { return (b.i1 - b.i0) * (b.j1 - b.j0) / (b.diagonal ? 2 : 1); };
  std::stable_sort(blocks.begin(), blocks.end(), [&](const auto& a, const auto& b) { return work(a) > work(b); });
  return blocks;
}

BlockSize block_size(const PairwiseArgs& args, int threads) {
  BlockSize size = adapters_of(args, block_rows, block_columns, 4);
  for (std::int64_t columns = block_columns;
       columns > least_columns && 2 * std::int64_t(cover(args, size).size()) < 3 * threads;) {
    columns /= 2;
    size = adapters_of(args, columns / 2, columns, 1);
  }
  return size;
}

}  // namespace taskvec
