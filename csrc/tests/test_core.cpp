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
#include "taskvec/simd.h"
#include "taskvec/sparsify.h"
#include "test_cpu_features.h"
#include "test_exp.h"
#include "test_pairwise.h"
#include "test_parallel.h"
#include "test_project.h"
#include "test_sparsify.h"

using namespace taskvec;
using namespace taskvec::testing;

namespace {

void test_lowrank_svd(DType dtype, int64_t batch, int64_t m, int64_t r, int64_t n, bool transposed, Content content,
                      int threads) {
  context = std::string("lowrank_svd ") + name_of(dtype) + " " + std::to_string(batch) + "x" + std::to_string(m) + "x" +
            std::to_string(r) + "x" + std::to_string(n) + (transposed ? " transposed" : "") + " content " +
            std::to_string(int(content));
  const bool f64 = dtype == DType::f64;
  const int64_t k = std::min({r, m, n});
  SvdProblem problem(dtype, batch, m, r, n, transposed, content);
  LowRankSVDArgs& args = problem.args;
  Output u(f64, batch * k * m), s(f64, batch * k), v(f64, batch * k * n);
  args.u_t = {u.data(), k * m}, args.s = {s.data(), k}, args.vh = {v.data(), k * n};
  lowrank_svd(args, threads);
  check_problem(problem, content, u, s, v, f64 ? 1e-11 : 1e-6);
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
    auto entropy = [&](double h, double sum) {
      return sum == 0 || live == 0 ? quiet_nan : live == 1 ? 0 : h / std::log(live);
    };
    const double want[] = {
        l1, std::sqrt(l2), linf, std::cbrt(lp), sum1 == 0 || sum2 == 0 ? 0 : rec, entropy(h1, sum1), entropy(h2, sum2)};
    for (int name = 0; name < 7; ++name)
      CHECK(near(out[name][i], want[name], (f64 ? 1e-13 : 2e-5) * (1 + std::fabs(want[name]))));
  }
}

}  // namespace

int main() {
  const char* forced = std::getenv("TASKVEC_SIMD");
  if (forced != nullptr &&
      (" " + std::string(available_simd_levels()) + " ").find(" " + std::string(forced) + " ") == std::string::npos) {
    std::printf("skipped: this CPU has no %s\n", forced);
    return 77;
  }
  context = "simd_level";
  CHECK(forced == nullptr || std::string(simd_level()) == forced);

  test_cpu_features();
  test_exp();
  const DType dtypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16};
  const Content contents[] = {Content::gaussian, Content::duplicated, Content::zero, Content::not_finite};
  for (DType dtype : dtypes) {
    for (bool transposed : {false, true}) {
      for (Content content : contents) {
        test_lowrank_svd(dtype, 2, 9, 3, 7, transposed, content, 1);
        test_lowrank_svd(dtype, 1, 33, 8, 17, transposed, content, 2);
      }
      for (int64_t r : {1, 2, 4, 5, 7, 8, 9, 15, 16, 17, 31})
        test_lowrank_svd(dtype, 3, 40, r, 35, transposed, Content::gaussian, 2);
      for (int64_t m : {1, 3, 8, 31, 63, 65, 129})
        test_lowrank_svd(dtype, 1, m, 4, 5, transposed, Content::gaussian, 1);
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
      for (Entries entries : {Entries::equal, Entries::cancelling}) {
        for (int64_t k : {4, 20}) test_project(dtype, dtype, 2, 600, 530, k, 4, transposed, 2, entries);
        test_project(dtype, DType::bf16, 1, 1, 1, 3, 2, transposed, 1, entries);
      }
    }
    for (int64_t k : {1, 4, 8, 9, 20, 33, 64}) test_project_dense(dtype, k);
    test_pairs(dtype);
  }
  test_lowrank_svd(DType::f64, 1, 140, 128, 130, false, Content::gaussian, 1);
  test_lowrank_svd(DType::f64, 1, 140, 129, 130, false, Content::repeated, 1);

  for (bool f64 : {false, true}) {
    for (int64_t k : {1, 2, 8, 33}) {
      for (int64_t batch : {0, 1, 7, 8, 17}) test_compare_spectra(f64, batch, k);
    }
    test_compare_spectra(f64, 4100, 3);
    test_sparsify(f64);
  }
  test_parallel();
  test_slices();
  std::printf("%s: %d checks, %d failures\n", simd_level(), checks, failures);
  return failures == 0 ? 0 : 1;
}
