// One pass of orthonormalisation of a factor from its Gram matrix, by one block: the steps of csrc/cpu's
// orthonormal_step.
#pragma once

#include "cuda/plan.h"
#include "numerics/dense.h"
#include "numerics/svd.h"

namespace taskvec::TASKVEC_LEVEL {

// A team's memory: three matrices, as many of them as fit in shared memory, and vectors.
struct TeamMemory {
  double* matrix[3];
  double* vector;  // 6 of ld
  int* index;      // 2 of ld

  TASKVEC_TEAM TeamMemory(const Work& work, int64_t item, int f, char* shared) {
    const int64_t ld = work.plan.ld;
    vector = reinterpret_cast<double*>(shared);
    index = reinterpret_cast<int*>(vector + 6 * ld);
    double* matrices = reinterpret_cast<double*>(shared + work.plan.vector_bytes());
    TASKVEC_UNROLL
    for (int i = 0; i < 3; ++i) {
      const int inside = work.plan.in_shared;
      matrix[i] = i < inside ? matrices + i * work.plan.matrix_elements() : work.spare(item, f, i - inside);
    }
  }
  // M last: it is the one that is least used
  TASKVEC_TEAM Svd svd(const Plan& plan) const {
    const int64_t ld = plan.ld;
    return {matrix[2],       matrix[0], matrix[1],  vector, vector + ld, vector + 2 * ld,
            vector + 4 * ld, index,     index + ld, plan.r, ld};
  }
};

struct Orthonormalise {
  Work work;
  int pass;

  static constexpr int least_blocks = 1;
  static int64_t blocks(const Work& work) { return 2 * work.count; }

  template <class Team>
  TASKVEC_TEAM void operator()(Team& team, int64_t block, char* shared) const {
    const int64_t item = block / 2;
    const int f = int(block % 2);
    State* state = work.state(item, f);
    if (pass > 0 && *state != State::again) return;
    const Plan& plan = work.plan;
    const int64_t r = plan.r, ld = plan.ld;
    const TeamMemory memory(work, item, f, shared);
    double *L = memory.matrix[0], *inverse = memory.matrix[1], *C = memory.matrix[2], *scale = memory.vector + 5 * ld;

    each_element(team, r, [&](int64_t i, int64_t j) {
      if (j > i) return;
      double sum = 0;
      for (int64_t split = 0; split < plan.splits[f]; ++split) sum += work.partial(item, f, split)[i * plan.padded + j];
      C[i * ld + j] = sum;
    });
    team.sync();
    double trace = 0;
    int64_t live_count = 0;
    bool noise = false;
    for (int64_t i = 0; i < r; ++i) {
      const double square = C[i * ld + i];
      trace += square;
      live_count += live_direction(square, pass == 0);
      noise = noise || noise_direction(square, pass == 0);
    }
    each(team, r, [&](int64_t i) {
      const double square = C[i * ld + i];
      scale[i] = live_direction(square, pass == 0) ? square_root(square) : 0;
    });
    team.sync();
    if (!is_finite(trace) || noise) {
      if (team.rank() == 0) *state = is_finite(trace) ? State::hidden : State::not_finite;
      return;
    }
    // unit diagonal: C = D⁻¹ G D⁻¹
    each_element(team, r, [&](int64_t i, int64_t j) {
      if (j > i) return;
      const bool live = scale[i] > 0 && scale[j] > 0;
      const double value = i == j ? double(live) : live ? C[i * ld + j] / scale[i] / scale[j] : 0;
      C[i * ld + j] = C[j * ld + i] = L[i * ld + j] = value;
      if (i != j) L[j * ld + i] = 0;
    });
    team.sync();
    double* sums = memory.vector;
    if (live_count == r && cholesky_inverse(team, L, inverse, sums, r, ld)) {
      const double squares = square_sum(team, inverse, sums, r, ld);  // ‖R⁻¹‖_F²
      if (squares < cholesky_limit) {
        const bool enough = orthonormal_enough(squares, r, work.args.dtype == DType::f64);
        apply(
            team, item, f, C, [&](int64_t l, int64_t c) { return inverse[c * ld + l] / scale[l]; },
            [&](int64_t c, int64_t l) { return L[l * ld + c] * scale[l]; });
        if (team.rank() == 0) *state = enough ? State::done : State::again;
        return;
      }
    }
    team.sync();
    // rank-revealing: C = Z Λ Zᵀ, keep λ above the threshold; T = D⁻¹ Z Λ^-½, R = Λ^½ Zᵀ D
    const Svd s = memory.svd(plan);
    svd(team, s);
    const double least = least_eigenvalue(s.sigma[0], r);
    int64_t kept = 0;
    while (kept < r && s.sigma[kept] > least) ++kept;
    if (directions_hidden(kept, live_count)) {
      if (team.rank() == 0) *state = State::hidden;
      return;
    }
    auto entry = [&](int64_t column, int64_t l) { return s.X[s.sorted[column] * ld + l] / s.sigma[column]; };
    apply(
        team, item, f, C,
        [&](int64_t l, int64_t c) {
          return c < kept && scale[l] > 0 ? entry(c, l) / square_root(s.sigma[c]) / scale[l] : 0;
        },
        [&](int64_t c, int64_t l) { return c < kept ? entry(c, l) * square_root(s.sigma[c]) * scale[l] : 0; });
    if (team.rank() == 0) *state = kept > 0 ? State::again : State::done;
  }

 private:
  // T becomes T · step_T and R step_R · R, by way of the matrix `hold`.
  template <class Team, class StepT, class StepR>
  TASKVEC_TEAM void apply(Team& team, int64_t item, int f, double* hold, StepT step_T, StepR step_R) const {
    const int64_t r = work.plan.r, ld = work.plan.ld, padded = work.plan.padded;
    double *T = work.T(item, f), *R = work.R(item, f), *fragments = work.fragments(item, f);
    each_element(team, r, [&](int64_t d, int64_t c) {
      double sum = 0;
      for (int64_t l = 0; pass > 0 && l < r; ++l) sum += T[d * padded + l] * step_T(l, c);
      hold[d * ld + c] = pass > 0 ? sum : step_T(d, c);
    });
    team.sync();
    each_element(team, padded, [&](int64_t d, int64_t c) {
      const double value = d < r && c < r ? hold[d * ld + c] : 0;
      T[d * padded + c] = value;
      fragments[fragment(padded, d, c)] = value;
    });
    team.sync();
    each_element(team, r, [&](int64_t c, int64_t d) {
      double sum = 0;
      for (int64_t l = 0; pass > 0 && l < r; ++l) sum += step_R(c, l) * R[l * padded + d];
      hold[c * ld + d] = pass > 0 ? sum : step_R(c, d);
    });
    team.sync();
    each_element(team, r, [&](int64_t c, int64_t d) { R[c * padded + d] = hold[c * ld + d]; });
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
