// Step 3 of the method as the paper takes it: Adam. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/sparsify/positive.h"
#include "simd/random.h"
#include "taskvec/sparsify.h"

namespace taskvec::TASKVEC_LEVEL {

// A vector of pairs as Adam sees them: everything is in units of ‖τ₂‖ but x, of which a Map makes S, and the gradient,
// which it compares with eps.
template <class T>
struct AdamPairs {
  int64_t k;
  Vec<T>* d;  // [k]
  Vec<T> c2, lam, lr, tol;
  Vec<T> unit, slope;       // ‖τ₂‖, and twice that: of the squared norm
  Vec<T> s_of_one, most_x;  // S where g(x) is 1, and where x ends

  Vec<T> gap(int64_t i, const Vec<T>* s) const { return (s[i] - d[i]) * (s[i] - d[i]); }
};

// Where x starts, for d in units of ‖τ₂‖; tau_norm is in those of g(x).
template <class Map>
inline double start_of(const Solver& solver, double d, double tau_norm, int64_t seed, int64_t place) {
  if (solver.start == Start::zeros) return 0;
  if (solver.start == Start::normal) return normal(seed, place);
  return Map::inverse((d < Map::least ? Map::least : d) * tau_norm);
}

// To those units; x becomes its start, but of a Map that is S: that has only normal numbers where they are the start.
template <class Map, class T>
AdamPairs<T> adam_pairs(const Pairs<T>& pairs, const Solver& solver, Vec<T>* d, Vec<T>* x) {
  alignas(64) T unit[lanes<T>], lam[lanes<T>], c2[lanes<T>], lr[lanes<T>], tol[lanes<T>], slope[lanes<T>],
      s_of_one[lanes<T>], most_x[lanes<T>];
  for (int lane = 0; lane < lanes<T>; ++lane) {
    const double tau_norm = pairs.tau_norm[lane], scale = tau_norm == 0 ? 1 : tau_norm,
                 start = solver.relative ? tau_norm / scale : 1 / scale, per_unit = solver.relative ? 1 : scale;
    double gap2 = (tau_norm / scale) * (tau_norm / scale);
    for (int64_t i = 0; i < pairs.k; ++i) {
      const double value = double(pairs.d[i][lane]) / scale;
      gap2 -= value * value;
      d[i][lane] = T(value);
      if constexpr (Map::is_s) {
        if (solver.start == Start::normal) x[i][lane] = T(start * normal(pairs.seed[lane], i));
      } else {
        x[i][lane] = T(start_of<Map>(solver, value, per_unit, pairs.seed[lane], i));
      }
    }
    unit[lane] = T(scale), c2[lane] = T(gap2 < 0 ? 0 : gap2), lam[lane] = T(pairs.lam[lane]);
    lr[lane] = T(Map::is_s ? solver.lr * start : solver.lr);
    tol[lane] = T(solver.tol * (solver.relative ? 1 : 1 / scale));
    slope[lane] = T(2 * scale), s_of_one[lane] = T(start), most_x[lane] = T(Map::inverse(most_s * per_unit));
  }
  return {pairs.k, d, load(c2), load(lam), load(lr), load(tol), load(unit), load(slope), load(s_of_one), load(most_x)};
}

// Where Adam is: x with its moments, S, and of S ‖S − d‖² + c² and ΣS.
template <class Map, class T>
struct AdamState {
  Vec<T>*x, *mean, *variance, *s, *slope;  // [k]; of a Map that is S, x and s are one, and no slope is read
  Vec<T> gap2, sum;

  void start(const AdamPairs<T>& pairs, Start from) {
    const Vec<T> zero{};
    gap2 = pairs.c2, sum = zero;
    for (int64_t i = 0; i < pairs.k; ++i) {
      mean[i] = variance[i] = zero;
      set(pairs, i, !Map::is_s || from == Start::normal ? x[i] : from == Start::zeros ? zero : pairs.d[i]);
    }
  }

  // One step as torch.optim.Adam's; root2 = 1/√(1 − β₂ᵗ).
  void step(const AdamPairs<T>& pairs, const Solver& solver, Vec<T> per_gap, Vec<T> rate, T root2) {
    const T decay1 = T(1 - solver.beta1), decay2 = T(1 - solver.beta2), beta2 = T(solver.beta2), eps = T(solver.eps);
    gap2 = pairs.c2, sum = Vec<T>{};
    for (int64_t i = 0; i < pairs.k; ++i) {
      Vec<T> gradient = (s[i] - pairs.d[i]) * per_gap + pairs.lam;
      if constexpr (!Map::is_s) gradient *= slope[i];
      mean[i] += decay1 * (gradient - mean[i]);
      variance[i] = beta2 * variance[i] + decay2 * gradient * gradient;
      set(pairs, i, x[i] - rate * mean[i] / (vector_sqrt<T>(variance[i]) * root2 + eps));
    }
  }

  void set(const AdamPairs<T>& pairs, int64_t i, Vec<T> to) {
    if constexpr (Map::is_s) {
      s[i] = clip<T>(to);
    } else {
      x[i] = to > pairs.most_x ? pairs.most_x : to;
      const Mapped<T> mapped = Map::template at<T>(x[i]);
      s[i] = pairs.s_of_one * mapped.value, slope[i] = mapped.slope;
    }
    gap2 += pairs.gap(i, s);
    sum += s[i];
  }
};

// Pairs that still step, by their losses.
template <class T>
struct AdamProgress {
  Vec<T> last = broadcast(T(__builtin_inf())), live = broadcast(T(1)), converged{}, steps{};

  // False when no pair is left.
  bool go_on(Vec<T> loss, Vec<T> tol) {
    const Vec<T> change = absolute<T>(loss - last);
    converged = (live > T(0)) & (change <= tol) ? broadcast(T(1)) : converged;
    live = (change <= tol) | (loss != loss) ? Vec<T>{} : live;
    last = loss;
    return horizontal_sum<T>(live) != T(0);
  }
};

// Algorithm 1 of the paper with Adam.
template <class Map, class T>
void solve_adam(const Pairs<T>& given, const Solver& solver, Vec<T>* work /* [5 k] */, Vec<T>* s, Found<T>* found) {
  const bool squared = solver.norm == Norm::squared;
  const int64_t k = given.k;
  Vec<T>* const x = Map::is_s ? s : work + 3 * k;
  const AdamPairs<T> pairs = adam_pairs<Map>(given, solver, work, x);
  AdamState<Map, T> state{x, work + k, work + 2 * k, s, work + 4 * k, {}, {}};
  AdamProgress<T> progress;
  state.start(pairs, solver.start);
  Vec<T> loss;
  double power1 = 1, power2 = 1;
  for (int64_t step = 0;; ++step) {
    const Vec<T> distance = squared ? Vec<T>{} : vector_sqrt<T>(state.gap2);
    loss = (squared ? T(0.5) * pairs.slope * state.gap2 : distance) + pairs.lam * state.sum;
    if (solver.tol > 0 && !progress.go_on(loss, pairs.tol)) break;
    if (step == solver.steps) break;
    progress.steps += progress.live;
    power1 *= solver.beta1, power2 *= solver.beta2;
    const double left = solver.decay ? 1 - double(step) / double(solver.steps) : 1;
    const Vec<T> rate = progress.live * pairs.lr * T(left / (1 - power1));
    // of ‖·‖_F, 0 where it is not differentiable
    const Vec<T> per_gap = squared ? pairs.slope : (distance == T(0) ? Vec<T>{} : T(1) / distance);
    state.step(pairs, solver, per_gap, rate, T(1 / __builtin_sqrt(1 - power2)));
  }
  for (int64_t i = 0; i < k; ++i) s[i] = loss != loss ? loss : s[i] * pairs.unit;
  if (found == nullptr) return;
  for (int lane = 0; lane < lanes<T>; ++lane) {
    found->objective[lane] = double(loss[lane]) * double(pairs.unit[lane]);
    found->steps[lane] = int64_t(progress.steps[lane]);
    found->converged[lane] = progress.converged[lane] > T(0);
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
