// Cholesky of an n × n matrix in fp64 by a team; rows `ld` apart.
#pragma once

#include "numerics/rules.h"
#include "numerics/team.h"

namespace taskvec::TASKVEC_LEVEL {

// C = L Lᵀ with a unit diagonal, given and returned in the lower part; `inverse` becomes L⁻¹, with zeros above.
// False when a pivot is not clearly positive. All are synchronised before and, but for what they read, after.
template <class Team>
TASKVEC_TEAM bool cholesky_inverse(Team& team, double* C, double* inverse, double* pivots, int64_t n, int64_t ld) {
  const Deal deal(team, n);
  each_element(team, n, [&](int64_t i, int64_t j) { inverse[i * ld + j] = i == j ? 1 : 0; });
  team.sync();
  for (int64_t j = 0; j < n; ++j) {
    const double pivot = C[j * ld + j];
    if (!positive_pivot(pivot, n)) return false;
    const double root = square_root(pivot);
    if (team.rank() == 0) pivots[j] = root;
    each(team, n, [&](int64_t i) { (i > j ? C[i * ld + j] : inverse[j * ld + i]) /= root; });
    team.sync();
    for (int64_t i = j + 1 + deal.row; i < n; i += deal.rows) {
      const double factor = C[i * ld + j];
      for (int64_t l = deal.column; l <= i; l += deal.columns) {
        (l <= j ? inverse : C)[i * ld + l] -= factor * (l <= j ? inverse[j * ld + l] : C[l * ld + j]);
      }
    }
    team.sync();
  }
  each(team, n, [&](int64_t i) { C[i * ld + i] = pivots[i]; });
  team.sync();
  return true;
}

// ‖A‖_F², added up in the same order by every member. sums: n.
template <class Team>
TASKVEC_TEAM double square_sum(Team& team, const double* A, double* sums, int64_t n, int64_t ld) {
  const Groups groups(team, n);
  for (int64_t base = 0; base < n; base += groups.count) {
    const int64_t i = base + groups.index;
    double sum = 0;
    for (int64_t j = groups.lane; i < n && j < n; j += groups.width) sum += A[i * ld + j] * A[i * ld + j];
    sum = team.sum(sum, groups.width);
    if (i < n && groups.lane == 0) sums[i] = sum;
  }
  team.sync();
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += sums[i];
  return total;
}

}  // namespace taskvec::TASKVEC_LEVEL
