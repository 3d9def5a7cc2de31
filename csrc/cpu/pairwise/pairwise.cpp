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
TileSize tile_size(const Pairwise& task, std::int64_t rows, std::int64_t columns, std::int64_t fewest) {
  auto adapters = [&](std::int64_t directions, std::int64_t k, std::int64_t count) {
    return std::clamp<std::int64_t>(directions / k, std::min(fewest, count), count);
  };
  return {adapters(rows, task.x.k, task.x.count), adapters(columns, task.y.k, task.y.count)};
}

// Every wanted pair in exactly one tile. No result depends on the cut.
std::vector<Tile> cover(const Pairwise& task, const TileSize& size) {
  std::vector<Tile> tiles;
  for (std::int64_t module = 0; module < task.batch; ++module) {
    for (std::int64_t j0 = 0; j0 < task.y.count; j0 += size.columns) {
      const std::int64_t j1 = std::min(j0 + size.columns, task.y.count), rows = task.symmetric ? j0 : task.x.count;
      if (task.symmetric) tiles.push_back({module, j0, j1, j0, j1, true});
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
TileSize tile_size(const Pairwise& task, int threads) {
  TileSize size = tile_size(task, tile_rows, tile_columns, 4);
  for (std::int64_t columns = tile_columns; columns > least_columns && 2 * std::int64_t(cover(task, size).size()) < 3 * threads;) {
    columns /= 2;
    size = tile_size(task, columns / 2, columns, 1);
  }
  return size;
}

// ΣS, ‖S‖₂ and the number of non-zero S of every adapter.
struct Stats {
  std::vector<double> sum, norm, live;

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

  Stats(const Pairwise& task, const Adapters& side) {
    if (task.dtype == DType::f64) {
      fill(static_cast<const double*>(side.s), task.batch * side.count, side.k);
    } else {
      fill(static_cast<const float*>(side.s), task.batch * side.count, side.k);
    }
  }
  SpectrumStats view() const { return {sum.data(), norm.data(), live.data()}; }
};

std::int64_t scratch_of_a_worker(const Pairwise& task, const TileSize& size) {
  const std::int64_t rows = task.symmetric ? std::max(size.rows, size.columns) : size.rows;  // diagonal tiles are square
  return kernels().tile_scratch(task, rows, size.columns);
}

int useful_threads(const Pairwise& task, int threads) {
  const double of_a_module = double(task.x.count) * task.x.k * task.y.count * task.y.k * (task.m + task.n);
  return worth(threads, threads, task.batch * of_a_module / (task.symmetric ? 2 : 1));
}

}  // namespace

std::int64_t pairwise_scratch(const Pairwise& task, int threads) {
  const int workers = useful_threads(task, threads);
  return scratch_of_a_worker(task, tile_size(task, workers)) * workers;
}

void pairwise(const Pairwise& task, int threads) {
  int workers = useful_threads(task, threads);
  const TileSize size = tile_size(task, workers);
  const auto tiles = cover(task, size);
  if (tiles.empty()) return;
  workers = int(std::min<std::int64_t>(workers, std::int64_t(tiles.size())));
  const Stats x(task, task.x), y(task, task.y);
  const Scratch scratch(scratch_of_a_worker(task, size), workers);
  parallel_for(std::int64_t(tiles.size()), workers,
               [&](std::int64_t item, int worker) { kernels().pair_tile(task, x.view(), y.view(), tiles[item], scratch.of(worker)); });
}

}  // namespace taskvec
