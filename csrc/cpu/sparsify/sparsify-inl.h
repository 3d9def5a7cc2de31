// Step 3 of the method for a batch of pairs. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/sparsify/adam.h"
#include "cpu/sparsify/exact.h"
#include "simd/kernels.h"

namespace taskvec::TASKVEC_LEVEL {

template <class T>
inline void solve(const Pairs<T>& pairs, const Solver& solver, Vec<T>* work /* [5 k] */, Vec<T>* s, Found<T>* found) {
  if (solver.method == Method::exact)
    return solve_exact(pairs, solver.norm, reinterpret_cast<Vec<double>*>(work), s, found);
  switch (solver.positive) {
    case Positive::clip:
      return solve_adam<Clip>(pairs, solver, work, s, found);
    case Positive::softplus:
      return solve_adam<Softplus>(pairs, solver, work, s, found);
    case Positive::exp:
      return solve_adam<Exponential>(pairs, solver, work, s, found);
    case Positive::abs:
      return solve_adam<Absolute>(pairs, solver, work, s, found);
  }
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
  return args.f64 ? sparsify_range<double>(args, first, last, scratch)
                  : sparsify_range<float>(args, first, last, scratch);
}

}  // namespace taskvec::TASKVEC_LEVEL
