// How Adam keeps S ≥ 0: it steps on x, and S = unit · g(x). Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/metrics/metrics.h"
#include "cpu/sparsify/pairs.h"
#include "simd/exp.h"

namespace taskvec::TASKVEC_LEVEL {

// In units of ‖τ₂‖. What d is raised to before an inverse that has no 0; and S goes no higher, so that no square
// overflows.
constexpr double least_start = 0x1p-10, most_s = 0x1p40;

template <class T>
struct Mapped {
  Vec<T> value, slope;  // g(x) and its derivative
};

// S is x, and S ← max(0, S) after each step.
struct Clip {
  static constexpr bool is_s = true;
  static double inverse(double s) { return s; }
};

struct Softplus {
  static constexpr bool is_s = false;
  static constexpr double least = least_start;
  static double inverse(double s) { return s + __builtin_log(-__builtin_expm1(-s)); }

  template <class T>
  static Mapped<T> at(Vec<T> x) {
    const Vec<T> small = exp<T>(-absolute<T>(x));
    return {(x < T(0) ? Vec<T>{} : x) + log1p<T>(small), (x < T(0) ? small : broadcast(T(1))) / (small + T(1))};
  }
};

struct Exponential {
  static constexpr bool is_s = false;
  static constexpr double least = least_start;
  static double inverse(double s) { return __builtin_log(s); }

  template <class T>
  static Mapped<T> at(Vec<T> x) {
    const Vec<T> value = exp<T>(x);
    return {value, value};
  }
};

// Of slope 0 at 0, as torch has it.
struct Absolute {
  static constexpr bool is_s = false;
  static constexpr double least = 0;
  static double inverse(double s) { return s; }

  template <class T>
  static Mapped<T> at(Vec<T> x) {
    const Vec<T> one = broadcast(T(1)), zero{};
    return {absolute<T>(x), x < T(0) ? -one : x == T(0) ? zero : one};
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
