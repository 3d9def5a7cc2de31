// The core against naive loops, at the SIMD level that TASKVEC_SIMD names.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "check.h"
#include "svd_check.h"
#include "taskvec/compare_spectra.h"
#include "taskvec/lowrank_svd.h"
#include "taskvec/pairwise.h"
#include "taskvec/simd.h"
#include "taskvec/sparsify.h"
#include "test_parallel.h"
#include "test_project.h"
#include "test_sparsify.h"

using namespace taskvec;
using namespace taskvec::testing;

namespace {

void test_lowrank_svd(DType dtype, int64_t batch, int64_t m, int64_t r, int64_t n, bool transposed, Content content, int threads) {
  context = std::string("lowrank_svd ") + name_of(dtype) + " " + std::to_string(batch) + "x" + std::to_string(m) + "x" + std::to_string(r) +
            "x" + std::to_string(n) + (transposed ? " transposed" : "") + " content " + std::to_string(int(content));
  const bool f64 = dtype == DType::f64;
  const int64_t k = std::min({r, m, n});
  SvdProblem problem(dtype, batch, m, r, n, transposed, content);
  LowRankSVDArgs& args = problem.args;
  Output u(f64, batch * k * m), s(f64, batch * k), v(f64, batch * k * n);
  args.u_t = u.data(), args.s = s.data(), args.vh = v.data();
  lowrank_svd(args, threads);
  check_problem(problem, content, u, s, v, f64 ? 1e-11 : 1e-6);
}

struct Zoo {
  int64_t count, k;
  Stored u, v;
  Output s;

  Zoo(DType dtype, int64_t batch, int64_t adapters, int64_t directions, int64_t m, int64_t n, double length = 1)
      : count(adapters),
        k(directions),
        u(random_stored(dtype, batch * adapters * directions * m, length / std::sqrt(double(m)))),
        v(random_stored(dtype, batch * adapters * directions * n, length / std::sqrt(double(n)))),
        s(dtype == DType::f64, batch * adapters * directions) {
    for (int64_t i = 0; i < batch * adapters * directions; ++i) {
      const double value = i % (7 * directions) < directions ? 0 : 1 + std::fabs(random_normal());  // some adapters are zero
      s.f64 ? void(s.d[i] = value) : void(s.f[i] = float(value));
    }
  }
  Adapters view() { return {count, k, u.bytes.get(), v.bytes.get(), s.data()}; }
};

// What one direction's results should be: d and the metrics, for every ordered pair.
struct Naive {
  std::vector<double> d;
  double values[metric_count];

  Naive(const Zoo& x, int64_t i, const Zoo& y, int64_t j, int64_t m, int64_t n, double p) : d(x.k, 0.0) {
    const int64_t kx = x.k, ky = y.k;
    double cross_u = 0, cross_v = 0, sum1 = 0, sum2 = 0, norm1 = 0, norm_y = 0, inner = 0, live = 0, live_y = 0;
    for (int64_t q = 0; q < kx; ++q) {
      for (int64_t l = 0; l < ky; ++l) {
        double gu = 0, gv = 0;
        for (int64_t t = 0; t < m; ++t) gu += x.u.values[(i * kx + q) * m + t] * y.u.values[(j * ky + l) * m + t];
        for (int64_t t = 0; t < n; ++t) gv += x.v.values[(i * kx + q) * n + t] * y.v.values[(j * ky + l) * n + t];
        d[q] += gu * gv * y.s[j * ky + l];
        cross_u += gu * gu, cross_v += gv * gv;
      }
    }
    for (int64_t l = 0; l < ky; ++l) norm_y += y.s[j * ky + l] * y.s[j * ky + l], live_y += y.s[j * ky + l] > 0;
    double l1 = 0, l2 = 0, linf = 0, lp = 0, energy = 0, held = 0;
    for (int64_t q = 0; q < kx; ++q) {
      const double s1 = x.s[i * kx + q], s2 = std::max(0.0, d[q]), gap = std::fabs(s1 - s2);
      l1 += gap, l2 += gap * gap, linf = std::max(linf, gap), lp += std::pow(gap, p);
      sum1 += s1, sum2 += s2, norm1 += s1 * s1, live += s1 > 0, inner += s1 * d[q], energy += s2 * s2, held += d[q] * d[q];
    }
    double rec = 0, h1 = 0, h2 = 0;
    for (int64_t q = 0; q < kx; ++q) {
      const double share1 = x.s[i * kx + q] / sum1, share2 = std::max(0.0, d[q]) / sum2;
      rec += std::min(share1, share2);
      h1 -= share1 > 0 ? share1 * std::log(share1) : 0, h2 -= share2 > 0 ? share2 * std::log(share2) : 0;
    }
    auto entropy = [&](double h, double sum) { return sum == 0 || live == 0 ? quiet_nan : live == 1 ? 0 : h / std::log(live); };
    auto ratio = [&](double value) { return live == 0 || norm_y == 0 ? quiet_nan : value; };
    const double all[metric_count] = {l1,
                                      std::sqrt(l2),
                                      linf,
                                      std::pow(lp, 1 / p),
                                      sum1 == 0 || sum2 == 0 ? 0 : rec,
                                      entropy(h1, sum1),
                                      entropy(h2, sum2),
                                      ratio(inner / std::sqrt(norm1 * norm_y)),
                                      ratio(std::sqrt(std::max(0.0, 1 - energy / norm_y))),
                                      ratio(energy / norm_y),
                                      ratio(held / norm_y * double(m) * double(n) / live),
                                      ratio(cross_u / std::min(live, live_y)),
                                      ratio(cross_v / std::min(live, live_y))};
    std::copy(all, all + metric_count, values);
  }
};

struct ResultBuffers {
  std::vector<Output> metrics;
  std::vector<MetricOutput> requests;
  Output spectra, d;

  ResultBuffers(bool f64, int64_t pairs, int64_t k)
      : metrics(metric_count, Output(f64, pairs)), spectra(f64, pairs * k), d(f64, pairs * k) {}
  PairwiseOutputs view() {
    requests.clear();
    for (int i = metric_count - 1; i >= 0; --i) {  // in any order
      if (Metric(i) != Metric::entropy) requests.push_back({Metric(i), metrics[i].data()});
    }
    return {{requests.data(), int(requests.size())}, spectra.data(), d.data()};
  }
};

void check_pairs(const ResultBuffers& got, const Zoo& x, const Zoo& y, int64_t batch, int64_t m, int64_t n, double p, double unit) {
  for (int64_t module = 0; module < batch; ++module) {
    for (int64_t i = 0; i < x.count; ++i) {
      for (int64_t j = 0; j < y.count; ++j) {
        const Naive want(x, module * x.count + i, y, module * y.count + j, m, n, p);
        const int64_t place = (module * x.count + i) * y.count + j;
        double size = 1, sum2 = 0;
        for (int64_t q = 0; q < x.k; ++q) {
          size += std::fabs(want.d[q]), sum2 += std::max(0.0, want.d[q]);
          CHECK(near(got.d[place * x.k + q], want.d[q], unit * size));
          CHECK(near(got.spectra[place * x.k + q], std::max(0.0, want.d[q]), unit * size));
        }
        for (int metric = 0; metric < metric_count; ++metric) {
          if (Metric(metric) == Metric::entropy) continue;
          const double value = want.values[metric];
          // the square of the residual is what is known; shares of almost nothing are noise
          double bound = unit * (100 + 10 * std::fabs(value)) * size;
          if (Metric(metric) == Metric::residual) bound = std::sqrt(bound);
          if (Metric(metric) == Metric::rec || Metric(metric) == Metric::entropy_projected) {
            if (size > 1 && size - 1 < 100 * unit * size) continue;
            if (sum2 > 0) bound *= 1 + 1 / sum2;
          }
          CHECK(near(got.metrics[metric][place], value, bound));
        }
      }
    }
  }
}

void test_pairwise(DType dtype, int64_t batch, int64_t n_x, int64_t k_x, int64_t n_y, int64_t k_y, int64_t m, int64_t n, int threads,
                   Precision precision = Precision::highest) {
  const bool reduced = precision == Precision::medium;
  context = std::string(reduced ? "reduced pairwise " : "pairwise ") + name_of(dtype) + " " + std::to_string(n_x) + "x" +
            std::to_string(k_x) + " " + std::to_string(n_y) + "x" + std::to_string(k_y) + " of " + std::to_string(m) + "x" +
            std::to_string(n);
  const bool f64 = dtype == DType::f64, symmetric = n_y == 0;
  // directions longer than 1 are not rounded: few of half that length are
  const double p = 3, unit = f64 ? 1e-14 : reduced ? 8e-3 : 2e-6, length = reduced ? 0.5 : 1;
  Zoo x(dtype, batch, n_x, k_x, m, n, length);
  if (symmetric) {
    ResultBuffers out(f64, batch * n_x * n_x, k_x);
    pairwise({dtype, batch, m, n, x.view(), x.view(), true, out.view(), {}, precision, p}, threads);
    check_pairs(out, x, x, batch, m, n, p, unit);
    return;
  }
  Zoo y(dtype, batch, n_y, k_y, m, n, length);
  ResultBuffers forward(f64, batch * n_x * n_y, k_x), backward(f64, batch * n_x * n_y, k_y);
  pairwise({dtype, batch, m, n, x.view(), y.view(), false, forward.view(), backward.view(), precision, p}, threads);
  check_pairs(forward, x, y, batch, m, n, p, unit);
  check_pairs(backward, y, x, batch, m, n, p, unit);
}

// Several λ's in one pass: each as if it were alone, to the bit, and S₂ as `sparsify` finds it for the same d.
void test_several_lambdas(DType dtype, int64_t n_x, int64_t k_x, int64_t n_y, int64_t k_y, const Solver& solver, int threads) {
  context = std::string("several lambdas ") + name_of(dtype) + " " + std::to_string(n_x) + "x" + std::to_string(k_x) + " " +
            std::to_string(n_y) + "x" + std::to_string(k_y) + " method " + std::to_string(int(solver.method));
  const bool f64 = dtype == DType::f64;
  const int64_t batch = 2, m = 6, n = 7, pairs = batch * n_x * n_y;
  const double lams[] = {0.4, 0, 1.25};
  Zoo x(dtype, batch, n_x, k_x, m, n), y(dtype, batch, n_y, k_y, m, n);
  std::vector<int64_t> x_seed(batch * n_x), y_seed(batch * n_y);
  for (size_t i = 0; i < x_seed.size(); ++i) x_seed[i] = int64_t(i) * 77 - 5;
  for (size_t i = 0; i < y_seed.size(); ++i) y_seed[i] = int64_t(i) * 31 + 9;
  auto run = [&](int64_t count, const double* lam, ResultBuffers& forward, ResultBuffers& backward) {
    Adapters left = x.view(), right = y.view();
    left.seed = x_seed.data(), right.seed = y_seed.data();
    pairwise({dtype, batch, m, n, left, right, false, forward.view(), backward.view(), Precision::highest, 3, count, lam, solver}, threads);
  };
  ResultBuffers forward(f64, 3 * pairs, k_x), backward(f64, 3 * pairs, k_y);
  run(3, lams, forward, backward);
  auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
  for (int l = 0; l < 3; ++l) {
    ResultBuffers one_forward(f64, pairs, k_x), one_backward(f64, pairs, k_y);
    run(1, lams + l, one_forward, one_backward);
    auto compare = [&](const ResultBuffers& all, const ResultBuffers& one, int64_t k) {
      for (int name = 0; name < metric_count; ++name) {
        for (int64_t i = 0; i < pairs; ++i) CHECK(same(all.metrics[name][l * pairs + i], one.metrics[name][i]));
      }
      for (int64_t i = 0; i < pairs * k; ++i) CHECK(same(all.spectra[l * pairs * k + i], one.spectra[i]) && all.d[i] == one.d[i]);
    };
    compare(forward, one_forward, k_x), compare(backward, one_backward, k_y);
    if (solver.method == Method::adam) continue;
    Output d(true, pairs * k_x), tau_norm(true, pairs), s(true, pairs * k_x);
    const std::vector<double> lam(pairs, lams[l]);
    for (int64_t i = 0; i < pairs * k_x; ++i) d.d[i] = forward.d[i];
    for (int64_t i = 0; i < pairs; ++i) {
      const int64_t target = i / (n_x * n_y) * n_y + i % n_y;
      double square = 0;
      for (int64_t q = 0; q < k_y; ++q) square += y.s[target * k_y + q] * y.s[target * k_y + q];
      tau_norm.d[i] = std::sqrt(square);
    }
    sparsify({true, pairs, k_x, solver, d.data(), tau_norm.data(), lam.data(), nullptr, s.data(), nullptr, nullptr, nullptr}, 1);
    for (int64_t i = 0; i < pairs * k_x; ++i) CHECK(near(forward.spectra[l * pairs * k_x + i], s[i], 1e-6 * (1 + tau_norm[i / k_x])));
  }
}

void test_compare_spectra(bool f64, int64_t batch, int64_t k) {
  context = "compare_spectra " + std::to_string(batch) + "x" + std::to_string(k);
  Output s1(f64, batch * k), s2(f64, batch * k);
  for (int64_t i = 0; i < batch * k; ++i) {
    const double one = i / k % 5 == 0 ? 0 : std::fabs(random_normal()) + 0.01, two = std::max(0.0, random_normal());
    f64 ? void((s1.d[i] = one, s2.d[i] = two)) : void((s1.f[i] = float(one), s2.f[i] = float(two)));
  }
  std::vector<Output> out(7, Output(f64, batch));
  std::vector<MetricOutput> requests;
  for (int i = 0; i < 7; ++i) requests.push_back({Metric(i), out[i].data()});
  compare_spectra({f64, batch, k, s1.data(), s2.data(), 3.0, {requests.data(), 7}}, 2);
  for (int64_t i = 0; i < batch; ++i) {
    double l1 = 0, l2 = 0, linf = 0, lp = 0, sum1 = 0, sum2 = 0, live = 0, rec = 0, h1 = 0, h2 = 0;
    for (int64_t q = i * k; q < (i + 1) * k; ++q) {
      const double gap = std::fabs(s1[q] - s2[q]);
      l1 += gap, l2 += gap * gap, linf = std::max(linf, gap), lp += gap * gap * gap;
      sum1 += s1[q], sum2 += s2[q], live += s1[q] > 0;
    }
    for (int64_t q = i * k; q < (i + 1) * k; ++q) {
      const double x = s1[q] / sum1, y = s2[q] / sum2;
      rec += std::min(x, y);
      h1 -= x > 0 ? x * std::log(x) : 0, h2 -= y > 0 ? y * std::log(y) : 0;
    }
    auto entropy = [&](double h, double sum) { return sum == 0 || live == 0 ? quiet_nan : live == 1 ? 0 : h / std::log(live); };
    const double want[] = {l1, std::sqrt(l2), linf, std::cbrt(lp), sum1 == 0 || sum2 == 0 ? 0 : rec, entropy(h1, sum1), entropy(h2, sum2)};
    for (int name = 0; name < 7; ++name) CHECK(near(out[name][i], want[name], (f64 ? 1e-13 : 2e-5) * (1 + std::fabs(want[name]))));
  }
}

}  // namespace

int main() {
  const char* forced = std::getenv("TASKVEC_SIMD");
  if (forced != nullptr && (" " + std::string(available_simd_levels()) + " ").find(" " + std::string(forced) + " ") == std::string::npos) {
    std::printf("skipped: this CPU has no %s\n", forced);
    return 77;
  }
  context = "simd_level";
  CHECK(forced == nullptr || std::string(simd_level()) == forced);

  const DType dtypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16};
  const Content contents[] = {Content::gaussian, Content::duplicated, Content::zero, Content::not_finite};
  for (DType dtype : dtypes) {
    for (bool transposed : {false, true}) {
      for (Content content : contents) {
        test_lowrank_svd(dtype, 2, 9, 3, 7, transposed, content, 1);
        test_lowrank_svd(dtype, 1, 33, 8, 17, transposed, content, 2);
      }
      for (int64_t r : {1, 2, 4, 5, 7, 8, 9, 15, 16, 17, 31}) test_lowrank_svd(dtype, 3, 40, r, 35, transposed, Content::gaussian, 2);
      for (int64_t m : {1, 3, 8, 31, 63, 65, 129}) test_lowrank_svd(dtype, 1, m, 4, 5, transposed, Content::gaussian, 1);
    }
    test_lowrank_svd(dtype, 1, 520, 2, 1030, false, Content::gaussian, 1);
    test_lowrank_svd(dtype, 1, 70, 65, 68, false, Content::gaussian, 1);
    test_lowrank_svd(dtype, 1, 20, 40, 9, false, Content::gaussian, 1);
    // round the eights of rows that Jacobi takes at once, and the rank from which it rotates the rows alone at first
    for (int64_t r : {23, 24, 25, 31, 32, 33, 40, 41}) {
      test_lowrank_svd(dtype, 2, 45, r, 43, false, Content::gaussian, 2);
      test_lowrank_svd(dtype, 1, 45, r, 43, true, Content::repeated, 1);
    }
    for (int64_t r : {8, 31, 33, 72}) {
      for (Content content : {Content::duplicated, Content::zero, Content::not_finite}) {
        test_lowrank_svd(dtype, 1, 75, r, 74, false, content, 1);
      }
      // half precision has no room for them
      for (Content content : {Content::graded, Content::tiny, Content::huge}) {
        if (dtype == DType::f32 || dtype == DType::f64) test_lowrank_svd(dtype, 1, 75, r, 74, false, content, 1);
      }
    }

    for (bool transposed : {false, true}) {
      for (int64_t r : {1, 3, 4, 8, 9, 16, 17, 64}) test_project(dtype, dtype, 2, 17, 35, 5, r, transposed, 2);
      for (int64_t k : {1, 4, 7, 8, 12, 33}) test_project(DType::f32, dtype, 1, 33, 64, k, 3, transposed, 1);
      test_project(dtype, DType::f32, 1, 131, 1, 2, 2, transposed, 2);
      test_project(dtype, DType::f64, 1, 3, 520, 9, 2, transposed, 1);
      test_project(dtype, dtype, 1, 520, 16, 4, 16, transposed, 2);
      for (int64_t k : {9, 16, 24, 31, 48, 65, 80, 130}) test_project(dtype, dtype, 1, 11, 131, k, 1, transposed, 1);
      for (int64_t m : {1, 95, 97, 103}) test_project(DType::f32, dtype, 1, m, 7, 20, 1, transposed, 2);
      test_project(dtype, DType::bf16, 2, 200, 129, 17, 1, transposed, 2);
    }
    for (int64_t k : {1, 4, 8, 9, 20, 33, 64}) test_project_dense(dtype, k);
    const bool wide = dtype == DType::f32;
    test_pairwise(dtype, 1, 1, 1, 0, 0, 1, 1, 1);
    test_pairwise(dtype, 2, 5, 3, 0, 0, 7, 9, 2);
    test_pairwise(dtype, 1, 17, 4, 0, 0, 15, 6, 2);
    test_pairwise(dtype, 1, 9, 8, 0, 0, 515, 3, 1);
    for (int64_t k : {2, 4, 5, 8, 16, 19}) test_pairwise(dtype, 1, 6, k, 0, 0, 16, 529, 1);
    test_pairwise(dtype, 1, 3, 41, 0, 0, 9, 20, 1);
    test_pairwise(dtype, 1, 2, 9, 90, 3, 33, 5, 2);
    test_pairwise(dtype, 1, 3, 33, 0, 0, 9, 260, 1);
    test_pairwise(dtype, 1, wide ? 140 : 70, 8, 0, 0, 3, 5, 2);
    test_pairwise(dtype, 1, 3, 1, 5, 4, 6, 7, 1);
    test_pairwise(dtype, 2, 16, 5, 33, 2, 8, 17, 2);
    test_pairwise(dtype, 1, 1, 8, 70, 16, 5, 5, 2);
    for (int64_t n : {31, 32, 33, 63, 65, 1050}) test_pairwise(dtype, 1, 9, 8, 0, 0, 70, n, 1, Precision::medium);
    test_pairwise(dtype, 2, 16, 5, 33, 2, 40, 2060, 2, Precision::medium);
    test_pairwise(dtype, 1, 2, 3, 5, 4, 1, 2, 1, Precision::medium);
    if (wide) test_pairwise(dtype, 1, 515, 1, 9, 3, 4, 3, 2);
    if (wide) test_pairwise(dtype, 1, 1030, 1, 0, 0, 2, 2, 2);
    for (const Solver& solver : solvers()) {
      test_several_lambdas(dtype, 3, 2, 5, 3, solver, 1);
      test_several_lambdas(dtype, 18, 3, 33, 1, solver, 2);
    }
  }
  test_lowrank_svd(DType::f64, 1, 140, 128, 130, false, Content::gaussian, 1);
  test_lowrank_svd(DType::f64, 1, 140, 129, 130, false, Content::repeated, 1);
  // outputs over 16 MiB are streamed past the caches
  test_lowrank_svd(DType::f32, 340, 131, 48, 130, false, Content::gaussian, 2);

  for (bool f64 : {false, true}) {
    for (int64_t k : {1, 2, 8, 33}) {
      for (int64_t batch : {0, 1, 7, 8, 17}) test_compare_spectra(f64, batch, k);
    }
    test_compare_spectra(f64, 4100, 3);
    test_sparsify(f64);
  }
  test_parallel();
  std::printf("%s: %d checks, %d failures\n", simd_level(), checks, failures);
  return failures == 0 ? 0 : 1;
}
