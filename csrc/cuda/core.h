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
    const double *R_b = work.R(item, 0), *R_a = work.R(item, 1);
    // B · A = Σ b_l a_l is known to rounding of this sum: where the terms cancel, what is left is noise
    each(team, r, [&](int64_t l) {
      double b = 0, a = 0;
      for (int64_t i = 0; i < r; ++i) {
        b += R_b[i * padded + l] * R_b[i * padded + l];
        a += R_a[i * padded + l] * R_a[i * padded + l];
      }
      terms[l] = square_root(b) * square_root(a);
    });
    each_element(team, r, [&](int64_t j, int64_t i) {
      double sum = 0;
      for (int64_t l = 0; l < r; ++l) sum += R_b[i * padded + l] * R_a[j * padded + l];
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
    const double *T_b = work.T(item, 0), *T_a = work.T(item, 1);
    each_element(team, padded, [&](int64_t c, int64_t d) {
      double u = 0, v = 0;
      if (d < r && live(c)) {
        const double *left = s.Z + s.sorted[c] * ld, *right = s.X + s.sorted[c] * ld;
        for (int64_t l = 0; l < r; ++l) u += T_b[d * padded + l] * left[l], v += T_a[d * padded + l] * right[l];
        u *= sign, v /= s.sigma[c];
      }
      work.fragments(item, 0)[fragment(padded, d, c)] = u;
      work.fragments(item, 1)[fragment(padded, d, c)] = v;
    });
  }

 private:
  TASKVEC_TEAM void put(int64_t item, int64_t column, double value) const {
    const int64_t i = (work.first + item) * work.plan.k + column;
    if (work.args.dtype == DType::f64) {
      static_cast<double*>(work.args.s)[i] = value;
    } else {
      static_cast<float*>(work.args.s)[i] = float(value);
    }
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
