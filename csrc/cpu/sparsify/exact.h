// Step 3 of the method by its equation. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/metrics/metrics.h"
#include "cpu/sparsify/pairs.h"
#include "taskvec/sparsify.h"

namespace taskvec::TASKVEC_LEVEL {

// What the equation of f* is made of, for fp64 lanes of a vector of pairs.
struct Sums {
  Vec<double> total, c2, rest, above;  // Σd², c² = ‖τ₂‖² − Σd², c² + Σ_{d≤0} d², #(d > 0)
};

// d widens `given`, [k].
template <class T>
Sums sums_of(const Vec<T>* given, int64_t k, int first, Vec<double> tau_norm, Vec<double>* d) {
  const Vec<double> one = broadcast(1.0), zero{};
  Vec<double> total{}, below{}, above{};
  for (int64_t i = 0; i < k; ++i) {
    d[i] = widen<T>(given[i], first);
    const Vec<double> square = d[i] * d[i];
    total += square;
    below += d[i] > 0.0 ? zero : square;
    above += d[i] > 0.0 ? one : zero;
  }
  const Vec<double> c2 = clip<double>(tau_norm * tau_norm - total);
  return {total, c2, c2 + below, above};
}

// f* is the fixed point of x = h(x), x = f*², h(x) = c² + Σ_{d≤0} d² + Σ_{d>0} min(λ² x, d²), concave and piecewise
// linear. Newton's method from x = ‖τ₂‖² ≥ f*² falls to it through growing active sets, each once, and x − h(x) is
// convex, so that no step meets λ²·|active| ≥ 1. docs/METHOD.md has the derivation. Counts its steps.
inline Vec<double> newton(const Sums& sums, const Vec<double>* d, int64_t k, Vec<double> lam2, Vec<double>& steps) {
  const Vec<double> one = broadcast(1.0), zero{};
  Vec<double> x = sums.c2 + sums.total, active{};
  for (;;) {
    Vec<double> count{}, inactive = sums.rest;
    const Vec<double> cut = lam2 * x;
    for (int64_t i = 0; i < k; ++i) {
      const Vec<double> square = d[i] > 0.0 ? d[i] * d[i] : zero;
      count += square > cut ? one : zero;
      inactive += square > cut ? zero : square;
    }
    const Vec<double> slope = one - lam2 * count, grown = (count > active) & (slope > 0.0) ? one : zero;
    if (horizontal_sum<double>(grown) == 0) break;
    x = grown > 0.0 ? inactive / slope : x;
    active = grown > 0.0 ? count : active;
    steps += grown;
  }
  // d itself, where any f between 0 and the least d / λ is optimal
  return (sums.rest == zero) & (lam2 * sums.above <= one) ? zero : x;
}

// S = max(0, d − λ f*), or max(0, d − λ/2) of the squared norm.
template <class T>
void solve_exact(const Pairs<T>& pairs, Norm norm, Vec<double>* d /* [k] */, Vec<T>* s, Found<T>* found) {
  const Vec<double> zero{};
  for (int first = 0; first < lanes<T>; first += lanes<double>) {
    const Vec<double> tau_norm = load(pairs.tau_norm + first), lam = load(pairs.lam + first);
    const Sums sums = sums_of<T>(pairs.d, pairs.k, first, tau_norm, d);
    Vec<double> threshold = 0.5 * lam, steps{};
    if (norm == Norm::frobenius) threshold = lam * vector_sqrt<double>(newton(sums, d, pairs.k, lam * lam, steps));
    threshold = lam == zero ? zero : threshold;  // not NaN from elsewhere in the pair
    Vec<double> gap2 = sums.c2, sum{};
    for (int64_t i = 0; i < pairs.k; ++i) {
      const Vec<double> value = clip<double>(d[i] - threshold);
      narrow<T>(s[i], first, value);
      gap2 += (value - d[i]) * (value - d[i]);
      sum += value;
    }
    if (found == nullptr) continue;
    store(found->objective + first, (norm == Norm::frobenius ? vector_sqrt<double>(gap2) : gap2) + lam * sum);
    for (int lane = 0; lane < lanes<double>; ++lane) {
      found->steps[first + lane] = int64_t(steps[lane]);
      found->converged[first + lane] = true;
    }
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
