// Results of lowrank_svd against naive loops.
#pragma once

#include "check.h"
#include "taskvec/lowrank_svd.h"

namespace taskvec::testing {

inline const char* name_of(DType dtype) {
  const char* names[] = {"f64", "f32", "f16", "bf16"};
  return names[int(dtype)];
}

// Checks U S Vh = scale B A, UᵀU = VVᵀ = I on non-zero S, and the order of S.
inline void check_svd(const LowRankSVD& task, const Stored& b, const Stored& a, const Output& u, const Output& s, const Output& v,
                      int64_t index, double unit) {
  const int64_t m = task.b.length, n = task.a.length, r = task.r, k = std::min({r, m, n});
  const int64_t u0 = index * k * m, v0 = index * k * n, s0 = index * k;
  double size = 0, error = 0;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double tau = 0, got = 0;
      for (int64_t l = 0; l < r; ++l) {
        tau += b.values[index * task.b.batch_stride + i * task.b.position_stride + l * task.b.direction_stride] *
               a.values[index * task.a.batch_stride + j * task.a.position_stride + l * task.a.direction_stride];
      }
      tau *= task.scale[index];
      for (int64_t l = 0; l < k; ++l) got += u[u0 + l * m + i] * s[s0 + l] * v[v0 + l * n + j];
      size += tau * tau, error += (tau - got) * (tau - got);
    }
  }
  CHECK(std::sqrt(error) <= unit * std::sqrt(size));
  for (int64_t p = 0; p < k; ++p) {
    CHECK(s[s0 + p] >= 0 && (p == 0 || s[s0 + p] <= s[s0 + p - 1]));
    for (int64_t q = 0; q < k; ++q) {
      const double want = p == q && s[s0 + p] > 0;
      double uu = 0, vv = 0;
      for (int64_t i = 0; i < m; ++i) uu += u[u0 + p * m + i] * u[u0 + q * m + i];
      for (int64_t j = 0; j < n; ++j) vv += v[v0 + p * n + j] * v[v0 + q * n + j];
      CHECK(near(uu, want, 5 * unit) && near(vv, want, 5 * unit));
    }
  }
}

enum class Content { gaussian, duplicated, zero, not_finite };

}  // namespace taskvec::testing
