// Step 3 of the method for a vector of pairs: exact, or as Adam goes. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/metrics/metrics.h"
#include "simd/kernels.h"
#include "simd/random.h"

namespace taskvec::TASKVEC_LEVEL {

// One pair a lane. tau_norm and λ stay in fp64: c² = ‖τ₂‖² − ‖d‖² cancels.
template <class T>
struct Pairs {
  int64_t k;
  const Vec<T>* d;  // [k]
  alignas(64) double tau_norm[lanes<T>];
  alignas(64) double lam[lanes<T>];
  int64_t seed[lanes<T>];
};

// What is known of the solution besides S, when it is asked for.
template <class T>
struct Found {
  alignas(64) double objective[lanes<T>];
  int64_t steps[lanes<T>];
  bool converged[lanes<T>];
};

// fp64 vectors from and to lanes [first, first + lanes<double>) of a vector of T.
template <class T>
inline Vec<double> widen(const Vec<T>& v, int first) {
  typedef T Part __attribute__((vector_size(lanes<double> * sizeof(T))));
  Part part;
  __builtin_memcpy(&part, reinterpret_cast<const T*>(&v) + first, sizeof part);
  return __builtin_convertvector(part, Vec<double>);
}

template <class T>
inline void narrow(Vec<T>& v, int first, Vec<double> value) {
  typedef T Part __attribute__((vector_size(lanes<double> * sizeof(T))));
  const Part part = __builtin_convertvector(value, Part);
  __builtin_memcpy(reinterpret_cast<T*>(&v) + first, &part, sizeof part);
}

template <class T>
inline Vec<T> clip(Vec<T> x) {
  return x < T(0) ? Vec<T>{} : x;  // NaN stays
}

// f* is the fixed point of x = h(x), x = f*², h(x) = c² + Σ_{d≤0} d² + Σ_{d>0} min(λ² x, d²), concave and piecewise linear.
// Newton's method from x = ‖τ₂‖² ≥ f*² falls to it through growing active sets, each once, and x − h(x) is convex, so that
// no step meets λ²·|active| ≥ 1. docs/METHOD.md has the derivation.
template <class T>
void solve_exact(const Pairs<T>& pairs, Norm norm, Vec<double>* d /* [k] */, Vec<T>* s, Found<T>* found) {
  const Vec<double> one = broadcast(1.0), zero{};
  for (int first = 0; first < lanes<T>; first += lanes<double>) {
    const Vec<double> tau_norm = load(pairs.tau_norm + first), lam = load(pairs.lam + first), lam2 = lam * lam;
    Vec<double> total{}, below{}, above{};
    for (int64_t i = 0; i < pairs.k; ++i) {
      d[i] = widen<T>(pairs.d[i], first);
      const Vec<double> square = d[i] * d[i];
      total += square;
      below += d[i] > 0.0 ? zero : square;
      above += d[i] > 0.0 ? one : zero;
    }
    const Vec<double> c2 = clip<double>(tau_norm * tau_norm - total), rest = c2 + below;
    Vec<double> threshold = 0.5 * lam, steps{};
    if (norm == Norm::frobenius) {
      Vec<double> x = c2 + total, active{};
      for (;;) {
        Vec<double> count{}, inactive = rest;
        const Vec<double> cut = lam2 * x;
        for (int64_t i = 0; i < pairs.k; ++i) {
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
      x = (rest == zero) & (lam2 * above <= one) ? zero : x;
      threshold = lam * vector_sqrt<double>(x);
    }
    threshold = lam == zero ? zero : threshold;  // not NaN from elsewhere in the pair
    Vec<double> gap2 = c2, sum{};
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

// Algorithm 1 of the paper with Adam, as torch.optim.Adam steps, and S projected on S ≥ 0 after each step. Everything is
// in units of ‖τ₂‖ but the gradient, which Adam compares with eps.
template <class T>
void solve_adam(const Pairs<T>& pairs, const Solver& solver, Vec<T>* work /* [3 k] */, Vec<T>* s, Found<T>* found) {
  const bool squared = solver.norm == Norm::squared;
  const int64_t k = pairs.k;
  Vec<T>*d = work, *mean = work + k, *variance = work + 2 * k;
  alignas(64) T unit[lanes<T>], lam_lane[lanes<T>], c2_lane[lanes<T>], lr_lane[lanes<T>], tol_lane[lanes<T>], slope_lane[lanes<T>];
  for (int lane = 0; lane < lanes<T>; ++lane) {
    const double tau_norm = pairs.tau_norm[lane], scale = tau_norm == 0 ? 1 : tau_norm,
                 start = solver.relative ? tau_norm / scale : 1 / scale;
    double gap2 = (tau_norm / scale) * (tau_norm / scale);
    for (int64_t i = 0; i < k; ++i) {
      const double value = double(pairs.d[i][lane]) / scale;
      gap2 -= value * value;
      d[i][lane] = T(value);
      if (solver.start == Start::normal) s[i][lane] = T(start * normal(pairs.seed[lane], i));
    }
    unit[lane] = T(scale), c2_lane[lane] = T(gap2 < 0 ? 0 : gap2), lam_lane[lane] = T(pairs.lam[lane]);
    lr_lane[lane] = T(solver.lr * start), tol_lane[lane] = T(solver.tol * (solver.relative ? 1 : 1 / scale));
    slope_lane[lane] = T(2 * scale);
  }
  const Vec<T> c2 = load(c2_lane), lam = load(lam_lane), lr = load(lr_lane), tol = load(tol_lane), slope = load(slope_lane), zero{};
  const T decay1 = T(1 - solver.beta1), decay2 = T(1 - solver.beta2), beta2 = T(solver.beta2), eps = T(solver.eps);
  Vec<T> gap2 = c2, sum{};
  for (int64_t i = 0; i < k; ++i) {
    s[i] = solver.start == Start::zeros ? zero : clip<T>(solver.start == Start::normal ? s[i] : d[i]);
    mean[i] = variance[i] = zero;
    gap2 += (s[i] - d[i]) * (s[i] - d[i]);
    sum += s[i];
  }
  const T infinity = T(__builtin_inf());
  Vec<T> last = broadcast(infinity), loss, live = broadcast(T(1)), steps{}, converged{};
  double power1 = 1, power2 = 1;
  for (int64_t step = 0;; ++step) {
    const Vec<T> distance = squared ? Vec<T>{} : vector_sqrt<T>(gap2);
    loss = (squared ? T(0.5) * slope * gap2 : distance) + lam * sum;
    if (solver.tol > 0) {
      const Vec<T> change = absolute<T>(loss - last);
      converged = (live > T(0)) & (change <= tol) ? broadcast(T(1)) : converged;
      live = (change <= tol) | (loss != loss) ? zero : live;
      last = loss;
      if (horizontal_sum<T>(live) == T(0)) break;
    }
    if (step == solver.steps) break;
    steps += live;
    power1 *= solver.beta1, power2 *= solver.beta2;
    const T root2 = T(1 / __builtin_sqrt(1 - power2));
    const double left = solver.decay ? 1 - double(step) / double(solver.steps) : 1;
    const Vec<T> rate = live * lr * T(left / (1 - power1));
    // of ‖·‖_F, 0 where it is not differentiable
    const Vec<T> per_gap = squared ? slope : (distance == T(0) ? zero : T(1) / distance);
    gap2 = c2, sum = zero;
    for (int64_t i = 0; i < k; ++i) {
      const Vec<T> gradient = (s[i] - d[i]) * per_gap + lam;
      mean[i] += decay1 * (gradient - mean[i]);
      variance[i] = beta2 * variance[i] + decay2 * gradient * gradient;
      s[i] = clip<T>(s[i] - rate * mean[i] / (vector_sqrt<T>(variance[i]) * root2 + eps));
      gap2 += (s[i] - d[i]) * (s[i] - d[i]);
      sum += s[i];
    }
  }
  const Vec<T> scale = load(unit);
  for (int64_t i = 0; i < k; ++i) s[i] = loss != loss ? loss : s[i] * scale;
  if (found == nullptr) return;
  for (int lane = 0; lane < lanes<T>; ++lane) {
    found->objective[lane] = double(loss[lane]) * double(unit[lane]);
    found->steps[lane] = int64_t(steps[lane]);
    found->converged[lane] = converged[lane] > T(0);
  }
}

template <class T>
inline void solve(const Pairs<T>& pairs, const Solver& solver, Vec<T>* work /* [3 k] */, Vec<T>* s, Found<T>* found) {
  if (solver.method == Method::adam) return solve_adam(pairs, solver, work, s, found);
  solve_exact(pairs, solver.norm, reinterpret_cast<Vec<double>*>(work), s, found);
}

// Whether λ is a finite number ≥ 0 and ‖τ₂‖ not below ‖d‖ beyond rounding, in every lane.
template <class T>
inline bool valid(const Pairs<T>& pairs, double slack) {
  const Vec<double> one = broadcast(1.0), zero{};
  Vec<double> wrong{};
  for (int first = 0; first < lanes<T>; first += lanes<double>) {
    const Vec<double> tau_norm = load(pairs.tau_norm + first), lam = load(pairs.lam + first);
    Vec<double> total{};
    for (int64_t i = 0; i < pairs.k; ++i) {
      const Vec<double> d = widen<T>(pairs.d[i], first);
      total += d * d;
    }
    const auto weight = (lam >= zero) & (lam < broadcast(double(__builtin_inf())));
    wrong += weight & ~((tau_norm < zero) | (total * (1 - slack) > tau_norm * tau_norm)) ? zero : one;
  }
  return horizontal_sum<double>(wrong) == 0;
}

template <class T>
bool sparsify_range(const SparsifyArgs& args, int64_t first, int64_t last, void* memory) {
  const int64_t k = args.k;
  Vec<T>*d = static_cast<Vec<T>*>(memory), *s = d + k, *work = s + k;
  const bool info = args.objective != nullptr;
  Pairs<T> pairs{k, d, {}, {}, {}};
  Found<T> found;
  bool all_valid = true;
  for (int64_t at = first; at < last; at += lanes<T>) {
    const int count = int(smaller<int64_t>(lanes<T>, last - at));
    load_spectra(static_cast<const T*>(args.d) + at * k, k, count, d);
    for (int lane = 0; lane < lanes<T>; ++lane) {
      const int64_t pair = at + smaller(lane, count - 1);
      pairs.tau_norm[lane] = double(static_cast<const T*>(args.tau_norm)[pair]);
      pairs.lam[lane] = args.lam[pair];
      pairs.seed[lane] = args.seed == nullptr ? 0 : args.seed[pair];
    }
    if (args.check) all_valid &= valid(pairs, args.slack);
    solve(pairs, args.solver, work, s, info ? &found : nullptr);
    store_spectra(s, k, count, static_cast<T*>(args.s) + at * k);
    for (int lane = 0; info && lane < count; ++lane) {
      static_cast<T*>(args.objective)[at + lane] = T(found.objective[lane]);
      args.steps[at + lane] = found.steps[lane];
      args.converged[at + lane] = found.converged[lane];
    }
  }
  return all_valid;
}

bool sparsify_entry(const SparsifyArgs& args, int64_t first, int64_t last, void* scratch) {
  return args.f64 ? sparsify_range<double>(args, first, last, scratch) : sparsify_range<float>(args, first, last, scratch);
}

}  // namespace taskvec::TASKVEC_LEVEL
