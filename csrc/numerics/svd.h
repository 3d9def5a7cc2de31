// SVD of an n × n matrix in fp64 by a team: pivoted QR, then one-sided Jacobi on the rows of R.
#pragma once

#include "numerics/reflectors.h"
#include "numerics/rules.h"

namespace taskvec::TASKVEC_LEVEL {

struct Svd {
  double *M, *X, *Z;                    // [n, ld]; M is given by columns
  double *beta, *head, *norms, *sigma;  // [n], [n], [2 n], [n]
  int *order, *sorted;                  // [n]
  int64_t n, ld;

  static constexpr int64_t doubles = 5, integers = 2;  // of n each, besides the matrices

  TASKVEC_HD Reflectors reflectors() const { return {M, X, beta, head, norms, order, n, n, ld, ld}; }
};

// The pair that group `index` rotates in a round, every pair once in n − 1 rounds (n even).
TASKVEC_HD inline void round_robin(int64_t n, int64_t round, int64_t index, int64_t& p, int64_t& q) {
  p = round + index < n - 1 ? round + index : round + index - (n - 1);
  q = index == 0 ? n - 1 : round >= index ? round - index : round - index + n - 1;
}

// norms[i] = ‖row i of X‖².
template <class Team>
TASKVEC_TEAM void row_squares(Team& team, const Svd& s) {
  const Groups groups(team, s.n);
  for (int64_t base = 0; base < s.n; base += groups.count) {
    const int64_t i = base + groups.index;
    double square = 0;
    for (int64_t l = groups.lane; i < s.n && l < s.n; l += groups.width)
      square += s.X[i * s.ld + l] * s.X[i * s.ld + l];
    square = team.sum(square, groups.width);
    if (i < s.n && groups.lane == 0) s.norms[i] = square;
  }
  team.sync();
}

// Makes rows p and q of X orthogonal by a group, and rotates those of Z with them; false where they were already.
// Share: of a row, a member's elements at most, so that they stay in registers; 0 when that is not known.
template <int Share, class Team>
TASKVEC_TEAM bool orthogonalise_pair(Team& team, const Groups& groups, const Svd& s, int64_t p, int64_t q, bool active,
                                     double negligible, double tolerance) {
  const int64_t n = s.n;
  double *x = s.X + p * s.ld, *y = s.X + q * s.ld, *u = s.Z + p * s.ld, *v = s.Z + q * s.ld, a = 0, b = 0, g = 0;
  if constexpr (Share > 0) {
    const int end = int(n);
    double xs[Share], ys[Share];
    TASKVEC_UNROLL
    for (int e = 0; e < Share; ++e) {
      const int i = groups.lane + e * groups.width;
      xs[e] = active && i < end ? x[i] : 0, ys[e] = active && i < end ? y[i] : 0;
    }
    TASKVEC_UNROLL
    for (int e = 0; e < Share; ++e) a += xs[e] * xs[e], b += ys[e] * ys[e], g += xs[e] * ys[e];
    a = team.sum(a, groups.width), b = team.sum(b, groups.width), g = team.sum(g, groups.width);
    if (!active || !rotation_due(a, b, g, negligible, tolerance)) return false;
    const Rotation turn = rotation(a, b, g);
    TASKVEC_UNROLL
    for (int e = 0; e < Share; ++e) {
      const int i = groups.lane + e * groups.width;
      if (i < end) {
        const double old_u = u[i], old_v = v[i];
        x[i] = turn.c * xs[e] - turn.s * ys[e], y[i] = turn.s * xs[e] + turn.c * ys[e];
        u[i] = turn.c * old_u - turn.s * old_v, v[i] = turn.s * old_u + turn.c * old_v;
      }
    }
  } else {
    for (int64_t i = groups.lane; active && i < n; i += groups.width)
      a += x[i] * x[i], b += y[i] * y[i], g += x[i] * y[i];
    a = team.sum(a, groups.width), b = team.sum(b, groups.width), g = team.sum(g, groups.width);
    if (!active || !rotation_due(a, b, g, negligible, tolerance)) return false;
    const Rotation turn = rotation(a, b, g);
    for (int64_t i = groups.lane; i < n; i += groups.width) {
      const double old_x = x[i], old_y = y[i], old_u = u[i], old_v = v[i];
      x[i] = turn.c * old_x - turn.s * old_y, y[i] = turn.s * old_x + turn.c * old_y;
      u[i] = turn.c * old_u - turn.s * old_v, v[i] = turn.s * old_u + turn.c * old_v;
    }
  }
  return true;
}

// Rotates the rows of X, and those of Z (from the identity) with them, until the rows of X are orthogonal.
template <int Share, class Team>
TASKVEC_TEAM void orthogonalise_rows(Team& team, const Svd& s) {
  const int64_t n = s.n, even = n + n % 2, pairs = even / 2;
  const Groups groups(team, pairs);
  each_element(team, n, [&](int64_t i, int64_t j) { s.Z[i * s.ld + j] = i == j ? 1 : 0; });
  team.sync();
  for (int sweep = 0; sweep < most_sweeps; ++sweep) {
    row_squares(team, s);
    double largest = 0;
    for (int64_t i = 0; i < n; ++i) largest = larger(largest, s.norms[i]);
    const double negligible = largest * negligible_square, tolerance = orthogonal_square(n);
    bool rotated = false;
    for (int64_t round = 0; round < even - 1; ++round) {
      for (int64_t base = 0; base < pairs; base += groups.count) {
        int64_t p, q;
        round_robin(even, round, base + groups.index, p, q);
        const bool active = base + groups.index < pairs && p < n && q < n;
        rotated |= orthogonalise_pair<Share>(team, groups, s, p, q, active, negligible, tolerance);
      }
      team.sync();
    }
    if (!team.any(rotated)) return;
  }
}

template <class Team>
TASKVEC_TEAM void orthogonalise_rows(Team& team, const Svd& s) {
  const int64_t width = Groups(team, (s.n + 1) / 2).width;
  if (width > 1 && s.n <= 4 * width) {
    orthogonalise_rows<4>(team, s);
  } else {
    orthogonalise_rows<0>(team, s);
  }
}

// M = W diag(sigma) Zᵀ, sigma descending: right vector k is row sorted[k] of X over sigma[k]; `left_vectors` makes the
// left ones.
template <class Team>
TASKVEC_TEAM void svd(Team& team, const Svd& s) {
  pivoted_qr(team, s.reflectors());
  orthogonalise_rows(team, s);
  row_squares(team, s);
  each(team, s.n, [&](int64_t i) { s.sorted[i] = int(i); });  // an index in range even if norms are NaN
  team.sync();
  each(team, s.n, [&](int64_t i) {
    int64_t place = 0;
    for (int64_t j = 0; j < s.n; ++j) place += s.norms[j] > s.norms[i] || (s.norms[j] == s.norms[i] && j < i);
    s.sorted[place] = int(i), s.sigma[place] = square_root(s.norms[i]);
  });
  team.sync();
}

// Left vector k in row sorted[k] of Z.
template <class Team>
TASKVEC_TEAM void left_vectors(Team& team, const Svd& s) {
  const int64_t n = s.n, ld = s.ld;
  const Groups groups(team, n);
  for (int64_t base = 0; base < n; base += groups.count) {
    const int64_t row = base + groups.index;
    double* u = s.Z + row * ld;
    for (int64_t t = n - 1; t >= 0; --t) {
      const double* v = s.M + s.order[t] * ld;
      const double head = s.head[t];
      double product = 0;
      for (int64_t i = groups.lane; row < n && i < n; i += groups.width)
        product += i < t ? 0 : (i == t ? head : v[i]) * u[i];
      product = team.sum(product, groups.width) * s.beta[t];
      for (int64_t i = groups.lane; row < n && i < n; i += groups.width)
        u[i] -= i < t ? 0 : product * (i == t ? head : v[i]);
    }
  }
  team.sync();
}

}  // namespace taskvec::TASKVEC_LEVEL
