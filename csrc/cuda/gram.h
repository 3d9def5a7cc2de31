// Gram matrices of the factors: FᵀF straight from memory, or of F · T, without ever storing F · T.
#pragma once

#include "cuda/tiles.h"

namespace taskvec::TASKVEC_LEVEL {

// One block: a tile of `Bands` × `Bands` bands of 8 of the Gram matrix of one factor, over one split of its positions.
// The four warps take turns over the positions; their sums are added in a fixed order.
template <class Src, int Bands, bool First>
struct Gram {
  Work work;

  static constexpr int least_blocks = Bands == 4 ? 2 : 3;  // on a multiprocessor, so that enough loads are in flight
  static constexpr int64_t shared_bytes = 4 * Bands * Bands * 64 * 8;
  static int64_t blocks(const Work& work) {
    return work.count * work.plan.tiles * (work.plan.splits[0] + work.plan.splits[1]);
  }

  template <class Team>
  TASKVEC_TEAM void operator()(Team& team, int64_t block, char* shared) const {
    const Plan& plan = work.plan;
    int64_t split = block % (plan.splits[0] + plan.splits[1]);
    const int64_t rest = block / (plan.splits[0] + plan.splits[1]), tile = rest % plan.tiles,
                  matrix = rest / plan.tiles;
    const int f = split < plan.splits[0] ? 0 : 1;
    if (f == 1) split -= plan.splits[0];
    if (!First && *work.state(matrix, f) != State::again) return;
    int64_t row = 0, before = 0;  // of the tile in the lower triangle
    while (before + row + 1 <= tile) before += ++row;
    const int64_t column = tile - before;

    double sum[Bands][Bands][2] = {};
    const int64_t begin = split * plan.span[f];
    const Stripe<Src> F(work, matrix, f, smaller(begin + plan.span[f], plan.length(f)));
    if constexpr (First) {
      // several positions at once where they are neighbours: a matter of strides alone, since bits depend on it
      const bool packed = F.position_stride == 1 && F.direction_stride % Run::size == 0;
      if (row == column) {
        packed ? direct<true, true>(team, F, begin, row, column, sum)
               : direct<true, false>(team, F, begin, row, column, sum);
      } else {
        packed ? direct<false, true>(team, F, begin, row, column, sum)
               : direct<false, false>(team, F, begin, row, column, sum);
      }
    } else {
      through(team, F, work.fragments(matrix, f), begin, row, column, sum);
    }

    double* sums = reinterpret_cast<double*>(shared);  // [4][Bands][Bands][8][8]
    const int lane = team.rank() % 32, warp = team.rank() / 32;
    constexpr int count = Bands * Bands * 64;
    TASKVEC_UNROLL
    for (int i = 0; i < Bands; ++i) {
      TASKVEC_UNROLL
      for (int j = 0; j < Bands; ++j) {
        double* to = sums + warp * count + (i * Bands + j) * 64 + lane * 2;  // row l / 4, column 2 (l % 4)
        to[0] = sum[i][j][0], to[1] = sum[i][j][1];
      }
    }
    team.sync();
    double* out = work.partial(matrix, f, split);
    for (int e = team.rank(); e < count; e += team.size()) {
      const int band_i = e / 64 / Bands, band_j = e / 64 % Bands;
      const int64_t i = (row * Bands + band_i) * 8 + e % 64 / 8, j = (column * Bands + band_j) * 8 + e % 8;
      out[i * plan.padded + j] = sums[e] + sums[count + e] + sums[2 * count + e] + sums[3 * count + e];
    }
  }

 private:
  // What one lane takes of one direction: 16 bytes, or 8 where the registers are full of sums.
  using Run = Pack<Src, smaller(16 / int(sizeof(Src)), Bands == 4 ? 4 : 8)>;
  static constexpr int64_t run = 4 * Run::size;  // positions that four lanes take

  // Lane l takes neighbours, or every fourth position: a matter of the order in which products are added.
  template <bool Packed>
  TASKVEC_TEAM static int64_t position(int64_t p0, int lane, int s) {
    return Packed ? p0 + lane % 4 * Run::size + s : p0 + lane % 4 + 4 * s;
  }

  template <bool Packed, bool Whole, int Count>
  TASKVEC_TEAM static void load(const Stripe<Src>& F, const Src* const (&rows)[Count], int64_t p0, int lane,
                                Run (&x)[Count]) {
    TASKVEC_UNROLL
    for (int i = 0; i < Count; ++i) {
      if constexpr (Packed && Whole) {
        x[i] = *reinterpret_cast<const Run*>(rows[i] + position<true>(p0, lane, 0));
      } else {
        TASKVEC_UNROLL
        for (int s = 0; s < Run::size; ++s) {
          const int64_t p = position<Packed>(p0, lane, s);
          x[i].x[s] = Whole || p < F.end ? rows[i][p * F.position_stride] : Src{};
        }
      }
    }
  }

  template <bool Diagonal, bool Packed, class Team>
  TASKVEC_TEAM static void direct(Team& team, const Stripe<Src>& F, int64_t begin, int64_t row, int64_t column,
                                  double (&sum)[Bands][Bands][2]) {
    constexpr int others = Diagonal ? 1 : Bands;
    const int lane = team.rank() % 32, warp = team.rank() / 32;
    const Src *rows[Bands], *columns[others];
    TASKVEC_UNROLL
    for (int i = 0; i < Bands; ++i) rows[i] = F.direction((row * Bands + i) * 8 + lane / 4);
    TASKVEC_UNROLL
    for (int j = 0; j < others; ++j) columns[j] = F.direction((column * Bands + j) * 8 + lane / 4);
    constexpr int at_once = 4 / Bands;  // loads in flight
    const bool aligned = !Packed || reinterpret_cast<std::uintptr_t>(F.data) % sizeof(Run) == 0;
    int64_t p0 = begin + warp * run;
    for (; aligned && p0 + (at_once - 1) * 4 * run + run <= F.end; p0 += at_once * 4 * run) {
      Run x[at_once][Bands], y[at_once][others];
      TASKVEC_UNROLL
      for (int t = 0; t < at_once; ++t) {
        load<Packed, true>(F, rows, p0 + t * 4 * run, lane, x[t]);
        if constexpr (!Diagonal) load<Packed, true>(F, columns, p0 + t * 4 * run, lane, y[t]);
      }
      TASKVEC_UNROLL
      for (int t = 0; t < at_once; ++t) add_run<Diagonal>(team, x[t], y[t], sum);
    }
    TASKVEC_UNROLL_1
    for (; p0 < F.end; p0 += 4 * run) {
      Run x[Bands], y[others];
      load<Packed, false>(F, rows, p0, lane, x);
      if constexpr (!Diagonal) load<Packed, false>(F, columns, p0, lane, y);
      add_run<Diagonal>(team, x, y, sum);
    }
  }

  template <bool Diagonal, int Others, class Team>
  TASKVEC_TEAM static void add_run(Team& team, const Run (&x)[Bands], const Run (&y)[Others],
                                   double (&sum)[Bands][Bands][2]) {
    TASKVEC_UNROLL
    for (int s = 0; s < Run::size; ++s) {
      double a[Bands], b[Others];
      TASKVEC_UNROLL
      for (int i = 0; i < Bands; ++i) a[i] = widen(x[i].x[s]);
      TASKVEC_UNROLL
      for (int j = 0; j < Others && !Diagonal; ++j) b[j] = widen(y[j].x[s]);
      add<Diagonal>(team, a, b, sum);
    }
  }

  template <bool Diagonal, int Others, class Team>
  TASKVEC_TEAM static void add(Team& team, const double (&a)[Bands], const double (&b)[Others],
                               double (&sum)[Bands][Bands][2]) {
    TASKVEC_UNROLL
    for (int i = 0; i < Bands; ++i) {
      TASKVEC_UNROLL
      for (int j = 0; j < Bands; ++j) {
        if constexpr (Diagonal) {
          if (j <= i) team.dmma(sum[i][j], a[i], a[j]);
        } else {
          team.dmma(sum[i][j], a[i], b[j]);
        }
      }
    }
  }

  // Of Q = F · T, 8 positions at a time: what the product leaves in a lane is what the next product takes from it.
  template <class Team>
  TASKVEC_TEAM void through(Team& team, const Stripe<Src>& F, const double* fragments, int64_t begin, int64_t row,
                            int64_t column, double (&sum)[Bands][Bands][2]) const {
    const int64_t padded = work.plan.padded;
    for (int64_t p0 = begin + team.rank() / 32 * 8; p0 < F.end; p0 += 32) {
      double x[Bands][1][2] = {}, y[Bands][1][2] = {};
      rotate<Bands, 1, 0, false>(team, F, fragments, padded, row * Bands, p0, x);
      if (row != column) rotate<Bands, 1, 0, false>(team, F, fragments, padded, column * Bands, p0, y);
      TASKVEC_UNROLL
      for (int h = 0; h < 2; ++h) {
        double a[Bands], b[Bands];
        TASKVEC_UNROLL
        for (int i = 0; i < Bands; ++i) a[i] = x[i][0][h], b[i] = row == column ? x[i][0][h] : y[i][0][h];
        add<false>(team, a, b, sum);
      }
    }
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
