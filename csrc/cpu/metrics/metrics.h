// The metrics of source→target for a vector of pairs: one function each. Part of one SIMD level, see vec.h.
#pragma once

#include "simd/log.h"
#include "taskvec/metrics.h"

namespace taskvec::TASKVEC_LEVEL {

// What a metric may use; every lane is a pair. The same names as in reference.py.
template <class T>
struct Compared {
  int64_t k;          // length of the spectra
  const Vec<T>* s1;   // [k]
  const Vec<T>* s2;   // [k]
  const Vec<T>* d;    // [k], S₂ before clipping
  Vec<T> sum1, sum2;  // ΣS₁, ΣS₂
  Vec<T> source_norm, tau_norm;
  Vec<T> rank, rank_target;  // number of non-zero S₁, and of the target's own S; NaN where one is NaN
  Vec<T> inner;              // ⟨τ₁, τ₂⟩
  Vec<T> cross_u, cross_v;   // ‖U₁ᵀU₂‖_F², ‖V₁ᵀV₂‖_F²
  // ‖U₁ᵀτ₂V₁‖², ‖U₁ᵀτ₂‖², ‖τ₂V₁‖² over ‖τ₂‖²
  Vec<T> held, held_out, held_in;
  Vec<T> chance, chance_sd;  // of REC over sign patterns, NaN where S₂ is not max(0, d)
  T p, size;                 // of lp; m · n
};

template <class T>
inline Vec<T> absolute(Vec<T> x) {
  return x < T(0) ? -x : x;
}

template <class T>
inline Vec<T> vector_sqrt(Vec<T> x) {
  T values[lanes<T>];
  store(values, x);
  for (T& value : values) value = std::is_same_v<T, float> ? __builtin_sqrtf(value) : __builtin_sqrt(value);
  return load(values);
}

// No source direction or no target: ratios of zeros are NaN.
template <class T>
inline Vec<T> defined(const Compared<T>& c, Vec<T> value) {
  return ((c.rank == T(0)) | (c.tau_norm == T(0))) ? broadcast(T(__builtin_nan(""))) : value;
}

template <class T>
inline Vec<T> l1(const Compared<T>& c) {
  Vec<T> sum{};
  for (int64_t i = 0; i < c.k; ++i) sum += absolute<T>(c.s1[i] - c.s2[i]);
  return sum;
}

template <class T>
inline Vec<T> l2(const Compared<T>& c) {
  Vec<T> sum{};
  for (int64_t i = 0; i < c.k; ++i) sum += (c.s1[i] - c.s2[i]) * (c.s1[i] - c.s2[i]);
  return vector_sqrt<T>(sum);
}

template <class T>
inline Vec<T> linf(const Compared<T>& c) {
  Vec<T> largest{};
  for (int64_t i = 0; i < c.k; ++i) {
    const Vec<T> gap = absolute<T>(c.s1[i] - c.s2[i]);
    largest = (gap > largest) | (gap != gap) ? gap : largest;
  }
  return largest;
}

// (Σ |S₁ − S₂|ᵖ)^(1/p); relative to the largest gap, so that no power leaves the range.
template <class T>
inline Vec<T> lp(const Compared<T>& c) {
  const Vec<T> largest = linf(c);
  Vec<T> sum{};
  for (int64_t i = 0; i < c.k; ++i) {
    const Vec<T> gap = absolute<T>(c.s1[i] - c.s2[i]) / largest;
    for (int lane = 0; lane < lanes<T>; ++lane) sum[lane] += T(__builtin_pow(gap[lane], c.p));
  }
  for (int lane = 0; lane < lanes<T>; ++lane) sum[lane] = T(__builtin_pow(sum[lane], 1 / double(c.p)));
  return largest == T(0) ? Vec<T>{} : largest * sum;
}

// Σ min(S₁ / ΣS₁, S₂ / ΣS₂); 0 when one of them is a zero spectrum.
template <class T>
inline Vec<T> rec(const Compared<T>& c) {
  const Vec<T> share1 = T(1) / c.sum1, share2 = T(1) / c.sum2;
  Vec<T> sum{};
  for (int64_t i = 0; i < c.k; ++i) {
    const Vec<T> x = c.s1[i] * share1, y = c.s2[i] * share2;
    sum += (x < y) | (x != x) ? x : y;
  }
  return ((c.sum1 == T(0)) | (c.sum2 == T(0))) ? T(0) * (c.sum1 + c.sum2) : sum;  // NaN of the other stays
}

// −(1/log r) Σ p log p with p = s/Σs; NaN for a zero spectrum, 0 for one component.
template <class T>
inline Vec<T> normalised_entropy(const Compared<T>& c, const Vec<T>* s, Vec<T> total) {
  const Vec<T> share = T(1) / total;
  Vec<T> sum{};
  for (int64_t i = 0; i < c.k; ++i) {
    const Vec<T> x = s[i] * share;
    sum -= x * log<T>(x);
  }
  const Vec<T> h = c.rank == T(1) ? T(0) * sum : sum / log<T>(c.rank);
  return ((total == T(0)) | (c.rank == T(0))) ? broadcast(T(__builtin_nan("")))
                                              : h + T(0) * c.rank;  // no -0, and NaN of the rank
}

template <class T>
inline Vec<T> entropy(const Compared<T>& c) {
  return normalised_entropy(c, c.s1, c.sum1);
}

template <class T>
inline Vec<T> entropy_projected(const Compared<T>& c) {
  return normalised_entropy(c, c.s2, c.sum2);
}

template <class T>
inline Vec<T> cosine(const Compared<T>& c) {
  return defined(c, c.inner / (c.source_norm * c.tau_norm));
}

template <class T>
inline Vec<T> energy(const Compared<T>& c) {
  Vec<T> sum{};
  for (int64_t i = 0; i < c.k; ++i) {
    const Vec<T> x = c.s2[i] / c.tau_norm;
    sum += x * x;
  }
  return defined(c, sum);
}

// ‖U S₂ Vᴴ − τ₂‖_F / ‖τ₂‖_F, whose square is 1 − Σ S₂ (2 d − S₂) / ‖τ₂‖²; of the clipped d that is 1 − energy.
template <class T>
inline Vec<T> residual(const Compared<T>& c) {
  Vec<T> sum{};
  for (int64_t i = 0; i < c.k; ++i) {
    const Vec<T> x = c.s2[i] / c.tau_norm, y = c.d[i] / c.tau_norm;
    sum += x * (y + (y - x));
  }
  const Vec<T> square = T(1) - sum;
  return defined(c, vector_sqrt<T>(square < T(0) ? Vec<T>{} : square));
}

template <class T>
inline Vec<T> excess(const Compared<T>& c) {
  Vec<T> sum{};
  for (int64_t i = 0; i < c.k; ++i) {
    const Vec<T> x = c.d[i] / c.tau_norm;
    sum += x * x;
  }
  return defined(c, sum * c.size / c.rank);
}

template <class T>
inline Vec<T> overlap(const Compared<T>& c, Vec<T> cross) {
  return defined(c, cross / ((c.rank < c.rank_target) | (c.rank != c.rank) ? c.rank : c.rank_target));
}

template <class T>
inline Vec<T> overlap_u(const Compared<T>& c) {
  return overlap(c, c.cross_u);
}

template <class T>
inline Vec<T> overlap_v(const Compared<T>& c) {
  return overlap(c, c.cross_v);
}

template <class T>
inline Vec<T> captured(const Compared<T>& c) {
  return defined(c, c.held);
}

template <class T>
inline Vec<T> captured_out(const Compared<T>& c) {
  return defined(c, c.held_out);
}

template <class T>
inline Vec<T> captured_in(const Compared<T>& c) {
  return defined(c, c.held_in);
}

template <class T>
inline Vec<T> rec_chance(const Compared<T>& c) {
  return c.chance;
}

template <class T>
inline Vec<T> rec_chance_sd(const Compared<T>& c) {
  return c.chance_sd;
}

template <class T>
inline Vec<T> metric(Metric name, const Compared<T>& c) {
  switch (name) {
#define TASKVEC_METRIC(name, inputs) \
  case Metric::name:                 \
    return name(c);
    TASKVEC_METRICS(TASKVEC_METRIC)
#undef TASKVEC_METRIC
  }
  __builtin_unreachable();
}

inline bool any_uses(MetricInputs inputs, const MetricOutputs& metrics) {
  for (int i = 0; i < metrics.count; ++i) {
    if (metric_inputs[int(metrics.list[i].metric)] == inputs) return true;
  }
  return false;
}

}  // namespace taskvec::TASKVEC_LEVEL
