// SVD of an n × n matrix in fp64 by a team: pivoted QR, then one-sided Jacobi on the rows of R.
#pragma once

#include "numerics/rules.h"
#include "numerics/team.h"

namespace taskvec::TASKVEC_LEVEL {

struct Svd {
  double *M, *X, *Z;                    // [n, ld]; M is given by columns
  double *beta, *head, *norms, *sigma;  // [n], [n], [2 n], [n]
  int *order, *sorted;                  // [n]
  int64_t n, ld;

  static constexpr int64_t doubles = 5, integers = 2;  // of n each, besides the matrices
};

// M = H R by reflectors I − beta v vᵀ, one a step, each made from the largest column left: order[t]. R goes to X by rows, its
// columns where M has them: never swapped. v is column order[t] of M from t on, but for its first entry, head[t].
template <class Team>
TASKVEC_TEAM void pivoted_qr(Team& team, const Svd& s) {
  const int64_t n = s.n, ld = s.ld;
  const Groups groups(team, n);
  for (int64_t base = 0; base < n; base += groups.count) {
    const int64_t j = base + groups.index;
    double square = 0;
    for (int64_t i = groups.lane; j < n && i < n; i += groups.width) square += s.M[j * ld + i] * s.M[j * ld + i];
    square = team.sum(square, groups.width);
    if (j < n && groups.lane == 0) s.norms[j] = square;
  }
  each_element(team, n, [&](int64_t i, int64_t j) { s.X[i * ld + j] = 0; });
  team.sync();
  for (int64_t t = 0; t < n; ++t) {
    // two sets of norms: the slowest member may still read one while the next is written
    const double* norms = s.norms + t % 2 * n;
    double* next = s.norms + (t + 1) % 2 * n;
    int64_t pivot = 0;
    double most = -1;  // of a column that is used
    for (int64_t j = 0; j < n; ++j) {
      if (norms[j] > most) most = norms[j], pivot = j;
    }
    const double* v = s.M + pivot * ld;
    const double root = square_root(larger(most, 0.0)), alpha = v[t] > 0 ? -root : root, head = v[t] - alpha;
    const double half = most + magnitude(v[t]) * root, beta = half > 0 ? 1 / half : 0;
    for (int64_t base = 0; base < n; base += groups.count) {
      const int64_t j = base + groups.index;
      const bool left = j < n && j != pivot && norms[j] >= 0;
      double* column = s.M + j * ld;
      double product = 0, square = 0;
      for (int64_t i = t + groups.lane; left && i < n; i += groups.width) product += (i == t ? head : v[i]) * column[i];
      product = team.sum(product, groups.width) * beta;
      for (int64_t i = t + groups.lane; left && i < n; i += groups.width) {
        const double value = column[i] - product * (i == t ? head : v[i]);
        if (i == t) {
          s.X[t * ld + j] = value;
        } else {
          square += value * value;
        }
        column[i] = i == t ? 0 : value;
      }
      square = team.sum(square, groups.width);
      if (j < n && groups.lane == 0) next[j] = left ? square : -1;
    }
    if (team.rank() == 0) s.X[t * ld + pivot] = alpha, s.beta[t] = beta, s.head[t] = head, s.order[t] = int(pivot);
    team.sync();
  }
}

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
    for (int64_t l = groups.lane; i < s.n && l < s.n; l += groups.width) square += s.X[i * s.ld + l] * s.X[i * s.ld + l];
    square = team.sum(square, groups.width);
    if (i < s.n && groups.lane == 0) s.norms[i] = square;
  }
  team.sync();
}

// Rotates the rows of X, and those of Z (from the identity) with them, until the rows of X are orthogonal.
template <class Team>
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
        double *x = s.X + p * s.ld, *y = s.X + q * s.ld, a = 0, b = 0, g = 0;
        for (int64_t i = groups.lane; active && i < n; i += groups.width) a += x[i] * x[i], b += y[i] * y[i], g += x[i] * y[i];
        a = team.sum(a, groups.width), b = team.sum(b, groups.width), g = team.sum(g, groups.width);
        if (!active || a <= negligible || b <= negligible || g * g <= tolerance * a * b) continue;
        rotated = true;
        const Rotation turn = rotation(a, b, g);
        double *u = s.Z + p * s.ld, *v = s.Z + q * s.ld;
        for (int64_t i = groups.lane; i < n; i += groups.width) {
          const double old_x = x[i], old_y = y[i], old_u = u[i], old_v = v[i];
          x[i] = turn.c * old_x - turn.s * old_y, y[i] = turn.s * old_x + turn.c * old_y;
          u[i] = turn.c * old_u - turn.s * old_v, v[i] = turn.s * old_u + turn.c * old_v;
        }
      }
      team.sync();
    }
    if (!team.any(rotated)) return;
  }
}

// M = W diag(sigma) Zᵀ, sigma descending: right vector k is row sorted[k] of X over sigma[k]; `left_vectors` makes the left ones.
template <class Team>
TASKVEC_TEAM void svd(Team& team, const Svd& s) {
  pivoted_qr(team, s);
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
      for (int64_t i = groups.lane; row < n && i < n; i += groups.width) product += i < t ? 0 : (i == t ? head : v[i]) * u[i];
      product = team.sum(product, groups.width) * s.beta[t];
      for (int64_t i = groups.lane; row < n && i < n; i += groups.width) u[i] -= i < t ? 0 : product * (i == t ? head : v[i]);
    }
  }
  team.sync();
}

}  // namespace taskvec::TASKVEC_LEVEL
