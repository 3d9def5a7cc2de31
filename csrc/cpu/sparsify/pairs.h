// Pairs whose projection is made sparse, a vector of them at a time. Part of one SIMD level, see vec.h.
#pragma once

#include "simd/vec.h"

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

}  // namespace taskvec::TASKVEC_LEVEL
