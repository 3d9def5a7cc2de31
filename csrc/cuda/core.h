// SVD of the r × r core R_B R_Aᵀ by one block: S, and what rotates the factors to U and V. Left to Householder where
// that takes over.
#pragma once

#include "cuda/orthonormal.h"

namespace taskvec::TASKVEC_LEVEL {

struct Core {
  Work work;

  static constexpr int least_blocks = 1;
  static int64_t blocks(const Work& work) { return work.count; }

  template <class Team>
  TASKVEC_TEAM void operator()(Team& team, int64_t item, char* shared) const {
    if (!work.hidden(item)) solve(team, item, shared);
  }

  template <class Team>
  TASKVEC_TEAM void solve(Team& team, int64_t item, char* shared) const {
    const Plan& plan = work.plan;
    const int64_t r = plan.r, ld = plan.ld, padded = plan.padded;
    const double scale = work.args.scale[work.first + item];
    if (!is_finite(scale) || *work.state(item, 0) == State::not_finite || *work.state(item, 1) == State::not_finite) {
      const double nan = square_root(-1.0);
      for (int f = 0; f < 2; ++f) each(team, padded * padded, [&](int64_t i) { work.fragments(item, f)[i] = nan; });
      each(team, plan.k, [&](int64_t c) { put(item, c, nan); });
      return;
    }
    const TeamMemory memory(work, item, 0, shared);
    const Svd s = memory.svd(plan);
    double* terms = memory.vector + 5 * ld;
    // in the memory of X and Z until the decomposition: row l of each belongs to direction l
    double *R_b = s.X, *R_a = s.Z;
    transpose(team, work.R(item, 0), R_b);
    transpose(team, work.R(item, 1), R_a);
    team.sync();
    // B · A = Σ b_l a_l is known to rounding of this sum: where the terms cancel, what is left is noise
    each(team, r, [&](int64_t l) {
      double b = 0, a = 0;
      for (int64_t i = 0; i < r; ++i) {
        b += R_b[l * ld + i] * R_b[l * ld + i];
        a += R_a[l * ld + i] * R_a[l * ld + i];
      }
      terms[l] = square_root(b) * square_root(a);
    });
    each_element(team, r, [&](int64_t j, int64_t i) {
      double sum = 0;
      for (int64_t l = 0; l < r; ++l) sum += R_b[l * ld + i] * R_a[l * ld + j];
      s.M[j * ld + i] = sum;
    });
    team.sync();
    double all_terms = 0;
    for (int64_t l = 0; l < r; ++l) all_terms += terms[l];
    svd(team, s);
    left_vectors(team, s);

    // T_B W and T_A Z, with the columns of what is rounding noise set to zero; the sign of the scale goes to U
    const double noise = rounding_noise(plan.m, plan.n, s.sigma[0], all_terms), sign = scale < 0 ? -1 : 1;
    auto live = [&](int64_t c) { return c < plan.k && s.sigma[c] > noise && scale != 0; };
    each(team, plan.k, [&](int64_t c) { put(item, c, live(c) ? s.sigma[c] * magnitude(scale) : 0); });
    for (int f = 0; f < 2; ++f) {
      double* T = s.M;  // its reflectors are used up
      transpose(team, work.T(item, f), T);
      team.sync();
      each_element(team, padded, [&](int64_t c, int64_t d) {
        double sum = 0;
        if (d < r && live(c)) {
          const double* vector = (f == 0 ? s.Z : s.X) + s.sorted[c] * ld;
          for (int64_t l = 0; l < r; ++l) sum += T[l * ld + d] * vector[l];
          sum = f == 0 ? sum * sign : sum / s.sigma[c];
        }
        work.fragments(item, f)[fragment(padded, d, c)] = sum;
      });
      team.sync();
    }
  }

 private:
  // row l of `to` becomes column l of `from`
  template <class Team>
  TASKVEC_TEAM void transpose(Team& team, const double* from, double* to) const {
    const int64_t padded = work.plan.padded, ld = work.plan.ld;
    each_element(team, work.plan.r, [&](int64_t i, int64_t l) { to[l * ld + i] = from[i * padded + l]; });
  }

  TASKVEC_TEAM void put(int64_t item, int64_t column, double value) const {
    const BatchedOutput& s = work.args.s;
    const int64_t i = (work.first + item) * s.batch_stride + column;
    if (work.args.dtype == DType::f64) {
      static_cast<double*>(s.data)[i] = value;
    } else {
      static_cast<float*>(s.data)[i] = float(value);
    }
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
