// How much of the target τ₂ = U₂ S V₂ᴴ the source's directions hold: ‖G_U S G_Vᵀ‖² with G_U = U₁ᵀU₂, G_V = V₁ᵀV₂, and
// either side alone, for a vector of pairs. Part of one SIMD level, see vec.h.
#pragma once

#include "simd/vec.h"

namespace taskvec::TASKVEC_LEVEL {

// Shares of ‖τ₂‖²: of U₁ᵀτ₂V₁, U₁ᵀτ₂ and τ₂V₁.
template <class T>
struct Captured {
  Vec<T> block{}, out{}, in{};
};

// The Gram blocks of a pair as one of its directions reads them.
template <class T>
struct DirectedGrams {
  const T *u, *v;
  int64_t source_step, target_step;  // from one direction of the source to the next, and of the target

  const T* u_row(int64_t a) const { return u + a * source_step; }
  const T* v_row(int64_t b) const { return v + b * source_step; }
};

// Rows of G_U S that are multiplied with columns of G_V at a time.
constexpr int strip_rows = 4;

// Σ over the strip's rows and C rows of G_V from `b` on of (Σ_l strip_l G_V_l)², added to `sum` row by row.
template <class T, int C>
inline Vec<T> strip_squares(const DirectedGrams<T>& grams, const Vec<T>* strip, int64_t b, int64_t k_target,
                            Vec<T> sum) {
  Vec<T> products[strip_rows][C]{};
  for (int64_t l = 0; l < k_target; ++l) {
    for (int c = 0; c < C; ++c) {
      const Vec<T> v = load(grams.v_row(b + c) + l * grams.target_step);
      for (int a = 0; a < strip_rows; ++a) products[a][c] += strip[l * strip_rows + a] * v;
    }
  }
  for (int a = 0; a < strip_rows; ++a) {
    for (int c = 0; c < C; ++c) sum += products[a][c] * products[a][c];
  }
  return sum;
}

// `unit`: S / ‖τ₂‖, [k_target]; `strip`: [k_target][strip_rows], to work in.
template <class T>
inline Vec<T> captured_block(const DirectedGrams<T>& grams, int64_t k, int64_t k_target, const Vec<T>* unit,
                             Vec<T>* strip) {
  Vec<T> sum{};
  for (int64_t a0 = 0; a0 < k; a0 += strip_rows) {
    for (int64_t l = 0; l < k_target; ++l) {
      for (int a = 0; a < strip_rows; ++a) {
        const bool inside = a0 + a < k;
        strip[l * strip_rows + a] = inside ? load(grams.u_row(a0 + a) + l * grams.target_step) * unit[l] : Vec<T>{};
      }
    }
    int64_t b = 0;
    for (; b + 2 <= k; b += 2) sum = strip_squares<T, 2>(grams, strip, b, k_target, sum);
    if (b < k) sum = strip_squares<T, 1>(grams, strip, b, k_target, sum);
  }
  return sum;
}

// ‖G S‖² in units of ‖τ₂‖², of one Gram block.
template <class T>
inline Vec<T> captured_side(const T* gram, const DirectedGrams<T>& grams, int64_t k, int64_t k_target,
                            const Vec<T>* unit) {
  Vec<T> sum{};
  for (int64_t a = 0; a < k; ++a) {
    for (int64_t l = 0; l < k_target; ++l) {
      const Vec<T> x = load(gram + a * grams.source_step + l * grams.target_step) * unit[l];
      sum += x * x;
    }
  }
  return sum;
}

}  // namespace taskvec::TASKVEC_LEVEL
