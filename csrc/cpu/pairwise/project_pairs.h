// d of both directions for a vector of pairs: d_xy = P S_y, d_yx = Pᵀ S_x with P = (UᵀU) ∘ (VᵀV). Part of one SIMD
// level, see vec.h.
#pragma once

#include "simd/vec.h"

namespace taskvec::TASKVEC_LEVEL {

// Where UᵀU and VᵀV of one x and a vector of y are.
template <class T>
struct PairGrams {
  const T *u, *v;
  int64_t ld, step;  // from one direction of x to the next, and of y
};

// ‖UᵀU‖_F², ‖VᵀV‖_F² of every lane.
template <class T>
struct Overlaps {
  Vec<T> u, v;
};

template <class T, bool WithOverlaps>
inline void project_block(const PairGrams<T>& grams, int64_t k_x, int64_t k_y, const Vec<T>* s_x, const Vec<T>* s_y,
                          Vec<T>* forward, Vec<T>* backward, Overlaps<T>& overlaps) {
  const T *gram_u = grams.u, *gram_v = grams.v;
  const int64_t ld = grams.ld, step = grams.step;
  Vec<T> cross_u{}, cross_v{};
  for (int64_t l = 0; l < k_y; ++l) backward[l] = Vec<T>{};
  for (int64_t k = 0; k < k_x; ++k) {
    Vec<T> sum{};
    for (int64_t l = 0; l < k_y; ++l) {
      const int64_t at = k * ld + l * step;
      const Vec<T> u = load(gram_u + at), v = load(gram_v + at), p = u * v;
      __builtin_prefetch(gram_u + at + k_x * ld);  // the next x, a row too far for the hardware to guess
      __builtin_prefetch(gram_v + at + k_x * ld);
      sum += p * s_y[l];
      backward[l] += p * s_x[k];
      if constexpr (WithOverlaps) {
        cross_u += u * u;
        cross_v += v * v;
      }
    }
    forward[k] = sum;
  }
  overlaps = {cross_u, cross_v};
}

}  // namespace taskvec::TASKVEC_LEVEL
