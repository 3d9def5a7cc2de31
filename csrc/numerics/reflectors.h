// Householder QR in fp64 by a team, of a matrix that lies by columns.
#pragma once

#include "numerics/team.h"

namespace taskvec::TASKVEC_LEVEL {

struct Reflectors {
  double *M, *R;                // [columns, ld], [columns, ld_r]
  double *beta, *head, *norms;  // [columns], [columns], [2 columns]
  int* order;                   // [columns]
  int64_t columns, length;      // of M
  int64_t ld, ld_r;

  TASKVEC_HD int64_t steps() const { return smaller(columns, length); }
};

// I − beta v vᵀ of one step: v is zero before entry t, and column `column` of M after it.
struct Reflector {
  const double* v;
  double head, alpha, beta;  // alpha: what it makes of the column's length
  int64_t column, t;

  TASKVEC_TEAM double operator[](int64_t i) const { return i == t ? head : v[i]; }
};

// Of the largest column left, by the squares of their lengths; those of columns that are used are negative.
TASKVEC_TEAM Reflector next_reflector(const Reflectors& q, const double* squares, int64_t t) {
  int64_t pivot = 0;
  double most = -1;
  for (int64_t j = 0; j < q.columns; ++j) {
    if (squares[j] > most) most = squares[j], pivot = j;
  }
  const double* v = q.M + pivot * q.ld;
  const double root = square_root(larger(most, 0.0)), alpha = v[t] > 0 ? -root : root;
  const double half = most + magnitude(v[t]) * root;
  return {v, v[t] - alpha, alpha, half > 0 ? 1 / half : 0, pivot, t};
}

// v · x from entry t on, by a group; the same for all of its members.
template <class Team>
TASKVEC_TEAM double product(Team& team, const Groups& groups, const Reflector& v, const double* x, int64_t length,
                            bool active) {
  double sum = 0;
  for (int64_t i = v.t + groups.lane; active && i < length; i += groups.width) sum += v[i] * x[i];
  return team.sum(sum, groups.width);
}

// M = H R by reflectors, one a step: column order[t] of M becomes v of step t, but for its first entry, head[t]. R gets
// its rows, its columns where M has them: never swapped.
template <class Team>
TASKVEC_TEAM void pivoted_qr(Team& team, const Reflectors& q) {
  const int64_t n = q.columns, length = q.length;
  const Groups groups(team, n);
  for (int64_t base = 0; base < n; base += groups.count) {
    const int64_t j = base + groups.index;
    double square = 0;
    for (int64_t i = groups.lane; j < n && i < length; i += groups.width)
      square += q.M[j * q.ld + i] * q.M[j * q.ld + i];
    square = team.sum(square, groups.width);
    if (j < n && groups.lane == 0) q.norms[j] = square;
  }
  each_element(team, n, [&](int64_t i, int64_t j) { q.R[i * q.ld_r + j] = 0; });
  team.sync();
  for (int64_t t = 0; t < q.steps(); ++t) {
    // two sets of norms: the slowest member may still read one while the next is written
    const double* norms = q.norms + t % 2 * n;
    double* next = q.norms + (t + 1) % 2 * n;
    const Reflector v = next_reflector(q, norms, t);
    for (int64_t base = 0; base < n; base += groups.count) {
      const int64_t j = base + groups.index;
      const bool left = j < n && j != v.column && norms[j] >= 0;
      double* column = q.M + j * q.ld;
      const double factor = product(team, groups, v, column, length, left) * v.beta;
      double square = 0;
      for (int64_t i = t + groups.lane; left && i < length; i += groups.width) {
        const double value = column[i] - factor * v[i];
        if (i == t) {
          q.R[t * q.ld_r + j] = value;
        } else {
          square += value * value;
        }
        column[i] = i == t ? 0 : value;
      }
      square = team.sum(square, groups.width);
      if (j < n && groups.lane == 0) next[j] = left ? square : -1;
    }
    if (team.rank() == 0) {
      q.R[t * q.ld_r + v.column] = v.alpha, q.beta[t] = v.beta, q.head[t] = v.head, q.order[t] = int(v.column);
    }
    team.sync();
  }
}

// After it column order[t] of M is column t of Q = H · [I; 0], instead of its reflector. Columns beyond `length` are
// zero.
template <class Team>
TASKVEC_TEAM void form_q(Team& team, const Reflectors& q) {
  const int64_t steps = q.steps();
  const Groups groups(team, steps);
  for (int64_t t = steps - 1; t >= 0; --t) {
    double* own = q.M + q.order[t] * q.ld;
    const Reflector v{own, q.head[t], 0, q.beta[t], q.order[t], t};
    for (int64_t base = t + 1; base < steps; base += groups.count) {
      const bool active = base + groups.index < steps;
      double* column = q.M + q.order[active ? base + groups.index : t] * q.ld;
      const double factor = product(team, groups, v, column, q.length, active) * v.beta;
      for (int64_t i = t + groups.lane; active && i < q.length; i += groups.width) column[i] -= factor * v[i];
    }
    team.sync();
    const double factor = v.beta * v.head;
    each(team, q.length, [&](int64_t i) { own[i] = i < t ? 0 : double(i == t) - factor * v[i]; });
    team.sync();
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
