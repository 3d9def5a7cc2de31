#include "taskvec/pairwise.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/scratch.h"
#include "simd/kernels.h"

namespace taskvec {
namespace {

// Directions of a full tile; the two Gram blocks of 512 × 1024 fp32 are 4 MiB. Off-diagonal tiles are as much work as
// diagonal ones, so that few threads end together. Smaller tiles pack more, those of 64 × 128 too much.
constexpr std::int64_t tile_rows = 512, tile_columns = 1024, least_columns = 128;

// Adapters a tile covers: [rows, columns].
struct TileSize {
  std::int64_t rows, columns;
};

// Tiles of at most so many directions, of adapters at least `fewest`.
TileSize tile_size(const PairwiseArgs& args, std::int64_t rows, std::int64_t columns, std::int64_t fewest) {
  auto adapters = [&](std::int64_t directions, std::int64_t k, std::int64_t count) {
    return std::clamp<std::int64_t>(directions / k, std::min(fewest, count), count);
  };
  return {adapters(rows, args.x.k, args.x.count), adapters(columns, args.y.k, args.y.count)};
}

// Every wanted pair in exactly one tile. No result depends on the cut.
std::vector<Tile> cover(const PairwiseArgs& args, const TileSize& size) {
  std::vector<Tile> tiles;
  for (std::int64_t module = 0; module < args.batch; ++module) {
    for (std::int64_t j0 = 0; j0 < args.y.count; j0 += size.columns) {
      const std::int64_t j1 = std::min(j0 + size.columns, args.y.count), rows = args.symmetric ? j0 : args.x.count;
      if (args.symmetric) tiles.push_back({module, j0, j1, j0, j1, true});
      for (std::int64_t i0 = 0; i0 < rows; i0 += size.rows) {
        tiles.push_back({module, i0, std::min(i0 + size.rows, rows), j0, j1, false});
      }
    }
  }
  // large ones first, so that the threads end together
  auto work = [](const Tile& t) { return (t.i1 - t.i0) * (t.j1 - t.j0) / (t.diagonal ? 2 : 1); };
  std::stable_sort(tiles.begin(), tiles.end(), [&](const Tile& a, const Tile& b) { return work(a) > work(b); });
  return tiles;
}

// The largest tiles that keep all threads busy, or the smallest.
TileSize tile_size(const PairwiseArgs& args, int threads) {
  TileSize size = tile_size(args, tile_rows, tile_columns, 4);
  for (std::int64_t columns = tile_columns; columns > least_columns && 2 * std::int64_t(cover(args, size).size()) < 3 * threads;) {
    columns /= 2;
    size = tile_size(args, columns / 2, columns, 1);
  }
  return size;
}

// ΣS, ‖τ‖_F and the number of non-zero S of every adapter.
struct Stats {
  std::vector<double> sum, norm, live;
  const double* longer;  // the norms that were given, if any

  template <class T>
  void fill(const T* s, std::int64_t adapters, std::int64_t k) {
    sum.assign(adapters, 0), norm.assign(adapters, 0), live.assign(adapters, 0);
    for (std::int64_t i = 0; i < adapters; ++i) {
      double squares = 0;
      for (std::int64_t l = 0; l < k; ++l) {
        const double value = double(s[i * k + l]);
        sum[i] += value, squares += value * value, live[i] += value > 0;
      }
      norm[i] = std::sqrt(squares);
    }
  }

  Stats(const PairwiseArgs& args, const Adapters& side) : longer(side.norm) {
    if (args.dtype == DType::f64) {
      fill(static_cast<const double*>(side.s), args.batch * side.count, side.k);
    } else {
      fill(static_cast<const float*>(side.s), args.batch * side.count, side.k);
    }
  }
  SpectrumStats view() const { return {sum.data(), longer == nullptr ? norm.data() : longer, live.data()}; }
};

std::int64_t scratch_of_a_worker(const PairwiseArgs& args, const TileSize& size) {
  const std::int64_t rows = args.symmetric ? std::max(size.rows, size.columns) : size.rows;  // diagonal tiles are square
  return kernels().tile_scratch(args, rows, size.columns);
}

int useful_threads(const PairwiseArgs& args, int threads) {
  const double of_a_module = double(args.x.count) * args.x.k * args.y.count * args.y.k * (args.m + args.n);
  return worth(threads, threads, args.batch * of_a_module / (args.symmetric ? 2 : 1));
}

}  // namespace

void pairwise(const PairwiseArgs& given, int threads) {
  constexpr double no_weight = 0;
  PairwiseArgs args = given;
  if (args.lam == nullptr) args.lams = 1, args.lam = &no_weight;
  int workers = useful_threads(args, threads);
  const TileSize size = tile_size(args, workers);
  const auto tiles = cover(args, size);
  if (tiles.empty()) return;
  workers = int(std::min<std::int64_t>(workers, std::int64_t(tiles.size())));
  const Stats x(args, args.x), y(args, args.y);
  const Scratch scratch(scratch_of_a_worker(args, size), workers);
  parallel_for(std::int64_t(tiles.size()), workers,
               [&](std::int64_t item, int worker) { kernels().pair_tile(args, x.view(), y.view(), tiles[item], scratch.of(worker)); });
}

}  // namespace taskvec
