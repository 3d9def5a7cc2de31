// Results of lowrank_svd against naive loops.
#pragma once

#include "check.h"
#include "taskvec/lowrank_svd.h"

namespace taskvec::testing {

inline const char* name_of(DType dtype) {
  const char* names[] = {"f64", "f32", "f16", "bf16"};
  return names[int(dtype)];
}

// Checks U S Vh = scale B A within `unit` of its size, UᵀU = VVᵀ = I on non-zero S within `orthogonality`, and the
// order of S.
inline void check_svd(const LowRankSVDArgs& args, const Stored& b, const Stored& a, const Output& u, const Output& s,
                      const Output& v, int64_t index, double unit, double orthogonality) {
  const int64_t m = args.b.length, n = args.a.length, r = args.r, k = std::min({r, m, n});
  const int64_t u0 = index * k * m, v0 = index * k * n, s0 = index * k;
  double size = 0, error = 0;
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      long double tau = 0, got = 0;  // terms may cancel
      for (int64_t l = 0; l < r; ++l) {
        tau += (long double)
                   b.values[index * args.b.batch_stride + i * args.b.position_stride + l * args.b.direction_stride] *
               a.values[index * args.a.batch_stride + j * args.a.position_stride + l * args.a.direction_stride];
      }
      tau *= args.scale[index];
      for (int64_t l = 0; l < k; ++l) got += (long double)u[u0 + l * m + i] * s[s0 + l] * v[v0 + l * n + j];
      size += double(tau * tau), error += double((tau - got) * (tau - got));
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
      CHECK(near(uu, want, orthogonality) && near(vv, want, orthogonality));
    }
  }
}

// Σ_l ‖b_l‖‖a_l‖ of one matrix over the size of its B · A.
inline double cancellation(const LowRankSVDArgs& args, const Stored& b, const Stored& a, int64_t index) {
  auto b_at = [&](int64_t i, int64_t l) {
    return b.values[index * args.b.batch_stride + i * args.b.position_stride + l * args.b.direction_stride];
  };
  auto a_at = [&](int64_t j, int64_t l) {
    return a.values[index * args.a.batch_stride + j * args.a.position_stride + l * args.a.direction_stride];
  };
  double terms = 0, size = 0;
  for (int64_t l = 0; l < args.r; ++l) {
    double bb = 0, aa = 0;
    for (int64_t i = 0; i < args.b.length; ++i) bb += b_at(i, l) * b_at(i, l);
    for (int64_t j = 0; j < args.a.length; ++j) aa += a_at(j, l) * a_at(j, l);
    terms += std::sqrt(bb) * std::sqrt(aa);
  }
  for (int64_t i = 0; i < args.b.length; ++i) {
    for (int64_t j = 0; j < args.a.length; ++j) {
      long double tau = 0;
      for (int64_t l = 0; l < args.r; ++l) tau += (long double)b_at(i, l) * a_at(j, l);
      size += double(tau * tau);
    }
  }
  return terms / std::sqrt(size);
}

enum class Content { gaussian, duplicated, zero, not_finite, graded, repeated, tiny, huge };

// Factors with their scales 2, −½, 2, …; of the first matrix B has an odd content, or A one that is not finite.
// graded: singular values that fall by half each; repeated: many that are equal; tiny and huge: 1e-30 and 1e30 times a
// Gaussian.
struct SvdProblem {
  Stored b, a;
  std::vector<double> scale;
  LowRankSVDArgs args;  // its results are null

  SvdProblem(DType dtype, int64_t batch, int64_t m, int64_t r, int64_t n, bool transposed, Content content)
      : b(random_stored(dtype, batch * m * r)), a(random_stored(dtype, batch * r * n)), scale(batch) {
    for (int64_t i = 0; i < batch; ++i) scale[i] = i % 2 ? -0.5 : 2.0;
    args = {dtype, batch, r, {b.bytes.get(), m, m * r, 1, r}, {a.bytes.get(), n, r * n, n, 1}, scale.data(),
            {},    {},    {}};
    if (transposed) {
      args.b.direction_stride = m, args.b.position_stride = 1;
      args.a.direction_stride = 1, args.a.position_stride = r;
    }
    for (int64_t i = 0; i < m && content == Content::duplicated && r > 1; ++i) {
      b.set(i * args.b.position_stride + args.b.direction_stride, b.values[i * args.b.position_stride]);
    }
    for (int64_t i = 0; i < m * r && content == Content::zero; ++i) b.set(i, 0);
    if (content == Content::not_finite) a.set(r * n - 1, quiet_nan);
    for (int64_t l = 0; l < r; ++l) {
      const bool reflector =
          content == Content::repeated && r <= m;  // columns of I − 2/m · 1 1ᵀ, and of three times it
      const double size = content == Content::graded ? std::ldexp(1, -int(l)) : content == Content::tiny ? 1e-30 : 1e30;
      for (int64_t i = 0; i < m; ++i) {
        const int64_t place = i * args.b.position_stride + l * args.b.direction_stride;
        if (reflector) b.set(place, (l % 2 ? 3 : 1) * ((i == l) - 2 / double(m)));
        if (content >= Content::graded && !reflector) b.set(place, size * b.values[place]);
      }
      for (int64_t j = 0; j < n && reflector && r <= n; ++j) {
        a.set(j * args.a.position_stride + l * args.a.direction_stride, double(j == l) - 2 / double(n));
      }
    }
  }
  SvdProblem(const SvdProblem&) = delete;
  SvdProblem& operator=(const SvdProblem&) = delete;
};

// Every matrix of a problem; the first is NaN where its content is not finite.
inline void check_problem(const SvdProblem& problem, Content content, const Output& u, const Output& s, const Output& v,
                          double unit) {
  const int64_t n = problem.args.a.length, k = std::min({problem.args.r, problem.args.b.length, n});
  for (int64_t index = 0; index < problem.args.batch; ++index) {
    if (index == 0 && content == Content::not_finite) {
      CHECK(std::isnan(s[0]) && std::isnan(u[0]) && std::isnan(v[k * n - 1]));
    } else {
      check_svd(problem.args, problem.b, problem.a, u, s, v, index, unit, 5 * unit);
    }
  }
  if (content == Content::zero) CHECK(s[0] == 0 && u[0] == 0);
}

}  // namespace taskvec::testing
