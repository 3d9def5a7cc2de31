// The directions themselves: U = B · W_B and V = Aᵀ · W_A, stored by direction.
#pragma once

#include "cuda/tiles.h"

namespace taskvec::TASKVEC_LEVEL {

// One block: 512 positions of one factor of one matrix, all its columns; a warp 8 · `wide` positions at a time.
template <class Src, class Out, int Bands>
struct Rotate {
  Work work;

  static constexpr int least_blocks = Bands == 1 ? 4 : 3;  // on a multiprocessor, so that enough loads are in flight
  static constexpr int64_t shared_bytes = 0;
  static constexpr int wide = 4;  // neighbours that a lane reads, and half of those it writes
  static int64_t blocks(const Work& work) {
    return work.count * (ceil_div(work.plan.m, positions_per_block) + ceil_div(work.plan.n, positions_per_block));
  }

  template <class Team>
  TASKVEC_TEAM void operator()(Team& team, int64_t block, char*) const {
    const Plan& plan = work.plan;
    const int64_t of_b = ceil_div(plan.m, positions_per_block), of_both = of_b + ceil_div(plan.n, positions_per_block);
    const int64_t matrix = block / of_both, part = block % of_both;
    if (work.hidden(matrix)) return;
    const int f = part < of_b ? 0 : 1;
    const int64_t length = plan.length(f), begin = (f == 0 ? part : part - of_b) * positions_per_block;
    const Stripe<Src> F(work, matrix, f, smaller(begin + positions_per_block, length));
    const BatchedOutput& to = f == 0 ? work.args.u_t : work.args.vh;
    Out* out = static_cast<Out*>(to.data) + (work.first + matrix) * to.batch_stride;
    const bool packed = F.position_stride == 1 && F.direction_stride % wide == 0 && length % (2 * wide) == 0 &&
                        reinterpret_cast<std::uintptr_t>(F.data) % sizeof(Pack<Src, wide>) == 0 &&
                        reinterpret_cast<std::uintptr_t>(out) % 16 == 0;
    const double* fragments = work.fragments(matrix, f);
    packed ? stream<true>(team, F, fragments, begin, length, out)
           : stream<false>(team, F, fragments, begin, length, out);
  }

 private:
  template <bool Packed, class Team>
  TASKVEC_TEAM void stream(Team& team, const Stripe<Src>& F, const double* fragments, int64_t begin, int64_t length,
                           Out* out) const {
    const Plan& plan = work.plan;
    constexpr int steps = Bands < 4 ? Bands * 2 : 0;
    constexpr int64_t at_once = 8 * wide;
    const int lane = team.rank() % 32;
    for (int64_t p0 = begin + team.rank() / 32 * at_once; p0 < F.end; p0 += stream_threads / 32 * at_once) {
      const int64_t position = p0 + lane % 4 * 2 * wide;
      const bool whole = Packed && p0 + at_once <= F.end;
      for (int64_t tile = 0; tile * 8 < plan.k; tile += Bands) {
        double sum[Bands][wide][2] = {};
        whole ? rotate<Bands, wide, steps, Packed>(team, F, fragments, plan.padded, tile, p0, sum)
              : rotate<Bands, wide, steps, false>(team, F, fragments, plan.padded, tile, p0, sum);
        TASKVEC_UNROLL
        for (int c = 0; c < Bands; ++c) {
          const int64_t column = (tile + c) * 8 + lane / 4;
          Pack<Out, 2 * wide> row;
          TASKVEC_UNROLL
          for (int i = 0; i < 2 * wide; ++i) row.x[i] = Out(sum[c][i % wide][i / wide]);
          if (column < plan.k) put<Packed>(out + column * length, position, F.end, row);
        }
      }
    }
  }

  // Packed: the length is whole runs, so that a run is inside or outside.
  template <bool Packed>
  TASKVEC_TEAM static void put(Out* row, int64_t position, int64_t end, const Pack<Out, 2 * wide>& values) {
    if constexpr (Packed) {
      if (position < end) store_run(row + position, values);
    } else {
      TASKVEC_UNROLL
      for (int i = 0; i < 2 * wide; ++i) {
        if (position + i < end) row[position + i] = values.x[i];
      }
    }
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
