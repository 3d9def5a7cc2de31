// The matrices whose factors are too ill-conditioned for their Gram matrices: QR by reflectors, core and rotation by
// one block.
#pragma once

#include "cuda/core.h"
#include "cuda/storage.h"

namespace taskvec::TASKVEC_LEVEL {

// One block a slot: it takes every matrix of its slot in turn, and leaves at once where there is none.
struct Householder {
  Work work;

  static constexpr int least_blocks = 1;
  TASKVEC_HD static int64_t blocks(const Work& work) { return smaller(work.plan.slots, work.count); }

  template <class Team>
  TASKVEC_TEAM void operator()(Team& team, int64_t slot, char* shared) const {
    bool any = false;
    const int64_t step = blocks(work);
    for (int64_t item = slot + team.rank() * step; item < work.count; item += team.size() * step) {
      any = any || work.hidden(item);
    }
    if (!team.any(any)) return;
    for (int64_t item = slot; item < work.count; item += step) {
      if (!work.hidden(item)) continue;
      for (int f = 0; f < 2; ++f) {
        if (*work.state(item, f) == State::hidden) orthonormalise(team, item, f, slot, shared);
      }
      team.sync();
      Core{work}.solve(team, item, shared);
      team.sync();
      for (int f = 0; f < 2; ++f) rotate_back(team, item, f, slot);
      team.sync();
    }
  }

 private:
  TASKVEC_TEAM double input(int64_t item, int f, int64_t direction, int64_t position) const {
    const Factor& factor = work.factor(f);
    const int64_t i = (work.first + item) * factor.batch_stride + direction * factor.direction_stride +
                      position * factor.position_stride;
    switch (work.args.dtype) {
      case DType::f64:
        return static_cast<const double*>(factor.data)[i];
      case DType::f32:
        return widen(static_cast<const float*>(factor.data)[i]);
      case DType::f16:
        return widen(static_cast<const F16*>(factor.data)[i]);
      case DType::bf16:
        return widen(static_cast<const BF16*>(factor.data)[i]);
    }
    return 0;
  }

  // F = Q R with Q in the slot: T is the identity.
  template <class Team>
  TASKVEC_TEAM void orthonormalise(Team& team, int64_t item, int f, int64_t slot, char* shared) const {
    const Plan& plan = work.plan;
    const int64_t r = plan.r, ld = plan.ld, padded = plan.padded, length = plan.length(f);
    const TeamMemory memory(work, item, f, shared);
    double *tall = work.tall(slot, f), *R = memory.matrix[0], *vector = memory.vector;
    for (int64_t d = 0; d < r; ++d) each(team, length, [&](int64_t p) { tall[d * length + p] = input(item, f, d, p); });
    team.sync();
    const Reflectors q{tall, R, vector, vector + ld, vector + 2 * ld, memory.index, r, length, length, ld};
    pivoted_qr(team, q);
    form_q(team, q);
    // row t of R belongs to column order[t] of Q
    each_element(team, r, [&](int64_t i, int64_t j) {
      work.T(item, f)[i * padded + j] = double(i == j);
      work.R(item, f)[i * padded + j] = 0;
    });
    team.sync();
    each_element(team, r, [&](int64_t t, int64_t j) {
      if (t < q.steps()) work.R(item, f)[q.order[t] * padded + j] = R[t * ld + j];
    });
    team.sync();
  }

  // U or V: Q of the slot, or the factor itself, times what the core left in `fragments`.
  template <class Team>
  TASKVEC_TEAM void rotate_back(Team& team, int64_t item, int f, int64_t slot) const {
    const Plan& plan = work.plan;
    const int64_t length = plan.length(f);
    const bool stored = *work.state(item, f) == State::hidden;
    const double *tall = work.tall(slot, f), *fragments = work.fragments(item, f);
    const BatchedOutput& out = f == 0 ? work.args.u_t : work.args.vh;
    const int64_t first = (work.first + item) * out.batch_stride;
    for (int64_t c = 0; c < plan.k; ++c) {
      each(team, length, [&](int64_t p) {
        double sum = 0;
        for (int64_t d = 0; d < plan.r; ++d) {
          sum += (stored ? tall[d * length + p] : input(item, f, d, p)) * fragments[fragment(plan.padded, d, c)];
        }
        const int64_t i = first + c * length + p;
        if (work.args.dtype == DType::f64) {
          static_cast<double*>(out.data)[i] = sum;
        } else {
          static_cast<float*>(out.data)[i] = float(sum);
        }
      });
    }
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
