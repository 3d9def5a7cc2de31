// The directions themselves: U = B · W_B and V = Aᵀ · W_A, stored by direction.
#pragma once

#include "cuda/tiles.h"

namespace taskvec::TASKVEC_LEVEL {

// One block: 512 positions of one factor of one matrix, all its columns; a warp 16 positions at a time.
template <class Src, class Out, int Bands>
struct Rotate {
  Work work;

  static constexpr int least_blocks = 4;  // on a multiprocessor, so that enough loads are in flight
  static constexpr int64_t shared_bytes = 0;
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
    const double* fragments = work.fragments(matrix, f);
    Out* out = static_cast<Out*>(f == 0 ? work.args.u_t : work.args.vh) + (work.first + matrix) * plan.k * length;
    constexpr int steps = Bands < 4 ? Bands * 2 : 0;
    for (int64_t p0 = begin + team.rank() / 32 * 16; p0 < F.end; p0 += stream_threads / 32 * 16) {
      for (int64_t tile = 0; tile * 8 < plan.k; tile += Bands) {
        double sum[Bands][2][2] = {};
        rotate<Bands, 2, steps>(team, F, fragments, plan.padded, tile, p0, sum);
        TASKVEC_UNROLL
        for (int c = 0; c < Bands; ++c) {
          TASKVEC_UNROLL
          for (int p = 0; p < 2; ++p) {
            const int lane = team.rank() % 32;
            const int64_t column = (tile + c) * 8 + lane / 4, position = p0 + 8 * p + lane % 4 * 2;
            if (column < plan.k) put(out + column * length, position, F.end, length % 2 == 0, sum[c][p]);
          }
        }
      }
    }
  }

 private:
  TASKVEC_TEAM static void put(Out* row, int64_t position, int64_t end, bool aligned, const double (&value)[2]) {
    if (aligned && position < end) {
      store_pair(row + position, Out(value[0]), Out(value[1]));
      return;
    }
    if (position < end) row[position] = Out(value[0]);
    if (position + 1 < end) row[position + 1] = Out(value[1]);
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
