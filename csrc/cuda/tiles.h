// A warp's share of the tall matrices. Fragments of the fp64 matrix instruction C (8 × 8) += A (8 × 4) · B (4 × 8):
// lane l holds A[l / 4][l % 4], B[l % 4][l / 4] and C[l / 4][2 (l % 4) + {0, 1}].
#pragma once

#include "cuda/plan.h"
#include "cuda/storage.h"

namespace taskvec::TASKVEC_LEVEL {

// One factor of one matrix, up to position `end`. Directions beyond the last stand for the last: what becomes of them
// is multiplied with zeros or never read, and they spoil nothing that is not spoilt already.
template <class Src>
struct Stripe {
  const Src* data;
  int64_t direction_stride, position_stride, last, end;

  TASKVEC_TEAM Stripe(const Work& work, int64_t matrix, int f, int64_t stop) : last(work.plan.r - 1), end(stop) {
    const Factor& factor = work.factor(f);
    data = static_cast<const Src*>(factor.data) + (work.first + matrix) * factor.batch_stride;
    direction_stride = factor.direction_stride, position_stride = factor.position_stride;
  }
  TASKVEC_TEAM const Src* direction(int64_t d) const { return data + smaller(d, last) * direction_stride; }
  TASKVEC_TEAM Src at(int64_t d, int64_t position) const {
    return position < end ? direction(d)[position * position_stride] : Src{};
  }
};

// out[c][p] += Σ_d T[d][c] F[d][position] for columns 8 (column_tile + c) + l / 4. A lane reads P neighbours of a
// direction, positions p0 + P (l / 4) + {0, ..., P − 1}, at once where they are packed, so that out[c][p][h] belongs to
// position p0 + P (2 (l % 4) + h) + p. Steps: r / 4 rounded up to tiles, when known to the compiler, or 0.
template <int C, int P, int Steps, bool Packed, class Src, class Team>
TASKVEC_TEAM void rotate(Team& team, const Stripe<Src>& F, const double* fragments, int64_t padded, int64_t column_tile,
                         int64_t p0, double (&out)[C][P][2]) {
  const int lane = team.rank() % 32;
  const int64_t steps = Steps > 0 ? Steps : padded / 4;
  const double* from = fragments + column_tile * steps * 32 + lane;
  const int64_t position = p0 + P * (lane / 4);
  auto step = [&](int64_t s) {
    Pack<Src, P> x;
    if constexpr (Packed) {
      x = *reinterpret_cast<const Pack<Src, P>*>(F.direction(4 * s + lane % 4) + position);
    } else {
      TASKVEC_UNROLL
      for (int p = 0; p < P; ++p) x.x[p] = F.at(4 * s + lane % 4, position + p);
    }
    double a[C];
    TASKVEC_UNROLL
    for (int c = 0; c < C; ++c) a[c] = from[(c * steps + s) * 32];
    TASKVEC_UNROLL
    for (int p = 0; p < P; ++p) {
      const double b = widen(x.x[p]);
      TASKVEC_UNROLL
      for (int c = 0; c < C; ++c) team.dmma(out[c][p], a[c], b);
    }
  };
  if constexpr (Steps > 0) {
    TASKVEC_UNROLL
    for (int s = 0; s < Steps; ++s) step(s);
  } else {
    TASKVEC_UNROLL_2
    for (int64_t s = 0; s < steps; ++s) step(s);
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
