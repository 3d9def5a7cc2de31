// Products of directions in 16-bit fixed point, for precision "medium". Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/products/panels.h"
#include "simd/cpu_features.h"

namespace taskvec::TASKVEC_LEVEL {

// A direction of norm up to fixed_norm has all positions within 16 bits, and the sum of products of two within 32.
constexpr float fixed_scale = 32700, fixed_norm = 1.002f;
// Longer ones would exceed the error of docs/NUMERICS.md if all roundings agreed.
constexpr int64_t fixed_length = 16384;

// How a level adds the products of two pairs of 16-bit integers to 32-bit sums: in one instruction where the CPU has
// it, else in two where that pays.
struct NoPairs {
  static constexpr bool compiled = false;
  static bool runnable() { return false; }
};

#if defined(__AVX512BW__)
// By its name: a file compiled for VNNI could run nowhere else.
struct OneStep {
  static constexpr bool compiled = true;
  static bool runnable() { return has_avx512_vnni(); }
  template <class Words>
  static Words multiply_add(Words a, Words b, Words sum) {
    asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
  }
};
using TwoSteps = NoPairs;
#elif defined(__AVX2__)
#ifdef TASKVEC_AVX_VNNI
struct OneStep {
  static constexpr bool compiled = true;
  static bool runnable() { return has_avx_vnni(); }
  template <class Words>
  static Words multiply_add(Words a, Words b, Words sum) {
    asm("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
  }
};
#else
using OneStep = NoPairs;
#endif
struct TwoSteps {
  static constexpr bool compiled = true;
  template <class Words>
  static Words multiply_add(Words a, Words b, Words sum) {
    return sum + reinterpret_cast<Words>(_mm256_madd_epi16(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
  }
};
#else
using OneStep = NoPairs;
using TwoSteps = NoPairs;
#endif

// Two positions a word. A sum does not care about their order, so that any two may share a word if both operands agree.
template <class Step>
struct FixedPairs {
  using Word = std::uint32_t;
  using Value = float;
  static constexpr int positions = 2;

  // Pairs (i, i + lanes) of 2 · lanes positions.
  static Vec<Word> pack(const float* x) {
    constexpr float shift = 0x1.8p23f;  // the sum's last bits are the rounded integer
    const Vec<float> low = load(x) * fixed_scale + shift, high = load(x + lanes<float>) * fixed_scale + shift;
    return (reinterpret_cast<Vec<Word>>(low) & 0xffffu) | (reinterpret_cast<Vec<Word>>(high) << 16);
  }
  static Vec<Word> multiply_add(Word a, Vec<Word> b, Vec<Word> sum) { return Step::multiply_add(broadcast(a), b, sum); }
};

template <class Src>
inline float sum_of_squares(const Src* from, int64_t count) {
  Vec<float> sum{};
  for (int64_t p = 0; p < count; p += lanes<float>) {
    const Vec<float> x = load_words<Numbers<float>>(from + p, count - p);
    sum += x * x;
  }
  return horizontal_sum<float>(sum);
}

// In place: sums of products to floats.
inline void fixed_to_float(float* row, int64_t count) {
  for (int64_t i = 0; i < count; i += lanes<float>) {
    const auto sum = reinterpret_cast<Vec<std::int32_t>>(load(row + i));
    store(row + i, __builtin_convertvector(sum, Vec<float>) * (1 / (fixed_scale * fixed_scale)));
  }
}

// The panels of a product by `Step`.
template <class Step>
struct FixedPanels : PackedPanels<FixedPairs<Step>> {
  using Word = typename FixedPairs<Step>::Word;

  // As PanelProducts, and adds to the squares of the norms.
  template <class Src>
  static void pack_x(const GramBlock<Src>& block, const Packing<float>& packing, int64_t first, int64_t last, Span span,
                     Word* dst) {
    pack_rows<FixedPairs<Step>>(block.x + first * block.length, block.length, last - first, span, dst);
    for (int64_t i = first; i < last; ++i)
      packing.of_rows[i] += sum_of_squares(block.x + i * block.length + span.first, span.count);
  }

  template <class Src>
  static void pack_y(const GramBlock<Src>& block, const Packing<float>& packing, int64_t first, int64_t last, Span span,
                     Word* dst) {
    pack_columns<FixedPairs<Step>>(block.y, block.length, packing.source + first, last - first, span, dst);
    for (int64_t c = first; c < last; ++c) {
      packing.of_columns[c] += sum_of_squares(block.y + packing.source[c] * block.length + span.first, span.count);
    }
  }

  template <class Src>
  static void gram(const GramBlock<Src>& block, const Packing<float>& packing, float* gram) {
    PanelGram<FixedPanels, float, Src>(block, packing, gram).multiply();
  }
};

// A block with a direction that is too long, or not finite, is multiplied by panels of floats.
template <class T>
struct FixedProducts {
  static bool usable(const PairwiseArgs&, int64_t) { return false; }
  template <class Src>
  static void gram(const GramBlock<Src>&, const Packing<T>&, T*) {}
};

template <>
struct FixedProducts<float> {
  static bool usable(const PairwiseArgs& args, int64_t length) {
    return args.precision == Precision::medium && length <= fixed_length && (TwoSteps::compiled || OneStep::runnable());
  }

  template <class Src>
  static void gram(const GramBlock<Src>& block, const Packing<float>& packing, float* gram) {
    const int64_t n_columns = block.columns.count();
    for (int64_t i = 0; i < block.rows; ++i) packing.of_rows[i] = 0;
    for (int64_t c = 0; c < n_columns; ++c) packing.of_columns[c] = 0;
    multiply(block, packing, gram);
    bool fits = true;
    for (int64_t i = 0; i < block.rows; ++i) fits &= packing.of_rows[i] <= fixed_norm * fixed_norm;
    for (int64_t c = 0; c < n_columns; ++c) fits &= packing.of_columns[c] <= fixed_norm * fixed_norm;
    if (!fits) return PanelProducts<float>::gram(block, packing, gram);
    for (int64_t i = 0; i < block.rows; ++i) fixed_to_float(gram + i * block.ld, n_columns);
  }

 private:
  template <class Src>
  static void multiply(const GramBlock<Src>& block, const Packing<float>& packing, float* gram) {
    if constexpr (OneStep::compiled) {
      if (OneStep::runnable()) return FixedPanels<OneStep>::gram(block, packing, gram);
    }
    if constexpr (TwoSteps::compiled) FixedPanels<TwoSteps>::gram(block, packing, gram);
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
