#include "test_pairwise.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "simd/cpu_features.h"
#include "svd_check.h"
#include "taskvec/pairwise.h"
#include "taskvec/simd.h"
#include "taskvec/sparsify.h"
#include "test_sparsify.h"

namespace taskvec::testing {
namespace {

constexpr int64_t exact_rank = 10;  // up to which the chance of REC is over all sign patterns

struct TestAdapters {
  int64_t count, k;
  Stored u, v;
  Output s;

  TestAdapters(DType dtype, int64_t batch, int64_t adapters, int64_t directions, int64_t m, int64_t n,
               double length = 1)
      : count(adapters),
        k(directions),
        u(random_stored(dtype, batch * adapters * directions * m, length / std::sqrt(double(m)))),
        v(random_stored(dtype, batch * adapters * directions * n, length / std::sqrt(double(n)))),
        s(dtype == DType::f64, batch * adapters * directions) {
    for (int64_t i = 0; i < batch * adapters * directions; ++i) {
      const double value =
          i % (7 * directions) < directions ? 0 : 1 + std::fabs(random_normal());  // some adapters are zero
      s.f64 ? void(s.d[i] = value) : void(s.f[i] = float(value));
    }
  }
  Adapters view() { return {count, k, u.bytes.get(), v.bytes.get(), s.data()}; }
};

// What one direction's results should be: d and the metrics, for every ordered pair.
struct Naive {
  std::vector<double> d;
  double values[metric_count];

  Naive(const TestAdapters& x, int64_t i, const TestAdapters& y, int64_t j, int64_t m, int64_t n, double p)
      : d(x.k, 0.0) {
    const int64_t kx = x.k, ky = y.k;
    std::vector<double> u(kx * ky), v(kx * ky);
    double cross_u = 0, cross_v = 0, sum1 = 0, sum2 = 0, norm1 = 0, norm_y = 0, inner = 0, live = 0, live_y = 0;
    for (int64_t q = 0; q < kx; ++q) {
      for (int64_t l = 0; l < ky; ++l) {
        double gu = 0, gv = 0;
        for (int64_t t = 0; t < m; ++t) gu += x.u.values[(i * kx + q) * m + t] * y.u.values[(j * ky + l) * m + t];
        for (int64_t t = 0; t < n; ++t) gv += x.v.values[(i * kx + q) * n + t] * y.v.values[(j * ky + l) * n + t];
        d[q] += gu * gv * y.s[j * ky + l];
        cross_u += gu * gu, cross_v += gv * gv;
        u[q * ky + l] = gu, v[q * ky + l] = gv;
      }
    }
    for (int64_t l = 0; l < ky; ++l) norm_y += y.s[j * ky + l] * y.s[j * ky + l], live_y += y.s[j * ky + l] > 0;
    double l1 = 0, l2 = 0, linf = 0, lp = 0, energy = 0, held = 0;
    for (int64_t q = 0; q < kx; ++q) {
      const double s1 = x.s[i * kx + q], s2 = std::max(0.0, d[q]), gap = std::fabs(s1 - s2);
      l1 += gap, l2 += gap * gap, linf = std::max(linf, gap), lp += std::pow(gap, p);
      sum1 += s1, sum2 += s2, norm1 += s1 * s1, live += s1 > 0, inner += s1 * d[q], energy += s2 * s2,
          held += d[q] * d[q];
    }
    double captured = 0, captured_out = 0, captured_in = 0;
    for (int64_t a = 0; a < kx; ++a) {
      for (int64_t b = 0; b < kx; ++b) {
        double entry = 0;
        for (int64_t l = 0; l < ky; ++l) entry += u[a * ky + l] * y.s[j * ky + l] * v[b * ky + l];
        captured += entry * entry;
      }
      for (int64_t l = 0; l < ky; ++l) {
        captured_out += std::pow(u[a * ky + l] * y.s[j * ky + l], 2);
        captured_in += std::pow(v[a * ky + l] * y.s[j * ky + l], 2);
      }
    }
    double rec = 0, h1 = 0, h2 = 0;
    for (int64_t q = 0; q < kx; ++q) {
      const double share1 = x.s[i * kx + q] / sum1, share2 = std::max(0.0, d[q]) / sum2;
      rec += std::min(share1, share2);
      h1 -= share1 > 0 ? share1 * std::log(share1) : 0, h2 -= share2 > 0 ? share2 * std::log(share2) : 0;
    }
    double mean = 0, square = 0;
    for (int64_t pattern = 0; kx <= exact_rank && pattern < int64_t(1) << kx; ++pattern) {
      double on = 0, value = 0;
      for (int64_t q = 0; q < kx; ++q) on += pattern >> q & 1 ? std::fabs(d[q]) : 0;
      for (int64_t q = 0; q < kx && on > 0 && sum1 > 0; ++q) {
        value += pattern >> q & 1 ? std::min(x.s[i * kx + q] / sum1, std::fabs(d[q]) / on) : 0;
      }
      mean += std::ldexp(value, int(-kx)), square += std::ldexp(value * value, int(-kx));
    }
    auto entropy = [&](double h, double sum) {
      return sum == 0 || live == 0 ? quiet_nan : live == 1 ? 0 : h / std::log(live);
    };
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
                                      ratio(cross_v / std::min(live, live_y)),
                                      ratio(captured / norm_y),
                                      ratio(captured_out / norm_y),
                                      ratio(captured_in / norm_y),
                                      mean,
                                      std::sqrt(std::max(0.0, square - mean * mean))};
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

void check_pairs(const ResultBuffers& got, const TestAdapters& x, const TestAdapters& y, int64_t batch, int64_t m,
                 int64_t n, double p, double unit) {
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
          if (metric_inputs[metric] == MetricInputs::signs && x.k > exact_rank) continue;
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

void test_pairwise(DType dtype, int64_t batch, int64_t n_x, int64_t k_x, int64_t n_y, int64_t k_y, int64_t m, int64_t n,
                   int threads, Precision precision = Precision::highest) {
  const bool reduced = precision == Precision::medium;
  context = std::string(reduced ? "reduced pairwise " : "pairwise ") + name_of(dtype) + " " + std::to_string(n_x) +
            "x" + std::to_string(k_x) + " " + std::to_string(n_y) + "x" + std::to_string(k_y) + " of " +
            std::to_string(m) + "x" + std::to_string(n);
  const bool f64 = dtype == DType::f64, symmetric = n_y == 0;
  // directions longer than 1 are not rounded, or by more than the bound says: few of half that length are
  const double p = 3, unit = f64 ? 1e-14 : reduced ? 8e-3 : 2e-6, length = reduced || emulates_amx() ? 0.5 : 1;
  TestAdapters x(dtype, batch, n_x, k_x, m, n, length);
  if (symmetric) {
    ResultBuffers out(f64, batch * n_x * n_x, k_x);
    pairwise({dtype, batch, m, n, x.view(), x.view(), true, out.view(), {}, precision, p}, threads);
    check_pairs(out, x, x, batch, m, n, p, unit);
    return;
  }
  TestAdapters y(dtype, batch, n_y, k_y, m, n, length);
  ResultBuffers forward(f64, batch * n_x * n_y, k_x), backward(f64, batch * n_x * n_y, k_y);
  pairwise({dtype, batch, m, n, x.view(), y.view(), false, forward.view(), backward.view(), precision, p}, threads);
  check_pairs(forward, x, y, batch, m, n, p, unit);
  check_pairs(backward, y, x, batch, m, n, p, unit);
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// Several λ's in one pass: each as if it were alone, to the bit, and S₂ as `sparsify` finds it for the same d.
void test_several_lambdas(DType dtype, int64_t n_x, int64_t k_x, int64_t n_y, int64_t k_y, const Solver& solver,
                          int threads) {
  context = std::string("several lambdas ") + name_of(dtype) + " " + std::to_string(n_x) + "x" + std::to_string(k_x) +
            " " + std::to_string(n_y) + "x" + std::to_string(k_y) + " method " + std::to_string(int(solver.method));
  const bool f64 = dtype == DType::f64;
  const int64_t batch = 2, m = 6, n = 7, pairs = batch * n_x * n_y;
  const double lams[] = {0.4, 0, 1.25};
  TestAdapters x(dtype, batch, n_x, k_x, m, n), y(dtype, batch, n_y, k_y, m, n);
  std::vector<int64_t> x_seed(batch * n_x), y_seed(batch * n_y);
  for (size_t i = 0; i < x_seed.size(); ++i) x_seed[i] = int64_t(i) * 77 - 5;
  for (size_t i = 0; i < y_seed.size(); ++i) y_seed[i] = int64_t(i) * 31 + 9;
  auto run = [&](int64_t count, const double* lam, ResultBuffers& forward, ResultBuffers& backward) {
    Adapters left = x.view(), right = y.view();
    left.seed = x_seed.data(), right.seed = y_seed.data();
    pairwise({dtype, batch, m, n, left, right, false, forward.view(), backward.view(), Precision::highest, 3, count,
              lam, solver},
             threads);
  };
  ResultBuffers forward(f64, 3 * pairs, k_x), backward(f64, 3 * pairs, k_y);
  run(3, lams, forward, backward);
  for (int l = 0; l < 3; ++l) {
    ResultBuffers one_forward(f64, pairs, k_x), one_backward(f64, pairs, k_y);
    run(1, lams + l, one_forward, one_backward);
    auto compare = [&](const ResultBuffers& all, const ResultBuffers& one, int64_t k) {
      for (int name = 0; name < metric_count; ++name) {
        for (int64_t i = 0; i < pairs; ++i) CHECK(same(all.metrics[name][l * pairs + i], one.metrics[name][i]));
      }
      for (int64_t i = 0; i < pairs * k; ++i)
        CHECK(same(all.spectra[l * pairs * k + i], one.spectra[i]) && all.d[i] == one.d[i]);
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
    sparsify(
        {true, pairs, k_x, solver, d.data(), tau_norm.data(), lam.data(), nullptr, s.data(), nullptr, nullptr, nullptr},
        1);
    for (int64_t i = 0; i < pairs * k_x; ++i)
      CHECK(near(forward.spectra[l * pairs * k_x + i], s[i], 1e-6 * (1 + tau_norm[i / k_x])));
  }
}

// The norm of every adapter's S, `longer` times.
std::vector<double> norms(const TestAdapters& x, int64_t adapters, double longer) {
  std::vector<double> found(adapters);
  for (int64_t i = 0; i < adapters; ++i) {
    double squares = 0;
    for (int64_t l = 0; l < x.k; ++l) squares += x.s[i * x.k + l] * x.s[i * x.k + l];
    found[i] = longer * std::sqrt(squares);
  }
  return found;
}

// Task vectors 1.5 times as long as their S: cosine, energy and excess are 2.25 times smaller, and λ sees the length.
void check_longer(const ResultBuffers& with, const ResultBuffers& without, const std::vector<double>& source,
                  const std::vector<double>& target, int64_t sources, int64_t targets, int64_t k, double lam,
                  double unit, const Solver& solver) {
  const int64_t pairs = int64_t(source.size()) * targets;
  for (int64_t at = 0; at < pairs; ++at) {
    const int64_t i = at / targets, j = i / sources * targets + at % targets;
    if (source[i] == 0 || target[j] == 0) continue;
    auto value = [&](const ResultBuffers& of, Metric metric) { return of.metrics[int(metric)][at]; };
    auto smaller_by = [&](Metric metric, double bound) {
      CHECK(near(value(with, metric), value(without, metric) / 2.25, bound * (1 + std::fabs(value(without, metric)))));
    };
    smaller_by(Metric::energy, unit), smaller_by(Metric::excess, unit), smaller_by(Metric::cosine, unit);
    CHECK(near(std::pow(value(with, Metric::residual), 2), std::max(0.0, 1 - value(with, Metric::energy)), 10 * unit));
    for (Metric metric : {Metric::l1, Metric::rec, Metric::overlap_u})
      CHECK(same(value(with, metric), value(without, metric)));
    Output d(true, k), tau_norm(true, 1), s(true, k);
    tau_norm.d[0] = 1.5 * target[j];
    for (int64_t q = 0; q < k; ++q) d.d[q] = with.d[at * k + q];
    sparsify({true, 1, k, solver, d.data(), tau_norm.data(), &lam, nullptr, s.data(), nullptr, nullptr, nullptr}, 1);
    for (int64_t q = 0; q < k; ++q) CHECK(near(with.spectra[(pairs + at) * k + q], s[q], 1e-5 * (1 + target[j])));
  }
}

void test_norm(DType dtype, bool symmetric, const Solver& solver, int threads) {
  context = std::string("norm ") + name_of(dtype) + (symmetric ? " symmetric" : "") + " method " +
            std::to_string(int(solver.method));
  const bool f64 = dtype == DType::f64;
  const int64_t batch = 2, m = 9, n = 7, k = 3, n_x = 19, n_y = symmetric ? n_x : 5, pairs = batch * n_x * n_y;
  const double lams[] = {0, 0.3};
  TestAdapters x(dtype, batch, n_x, k, m, n, 0.5), other(dtype, batch, n_y, k, m, n, 0.5);
  TestAdapters& y = symmetric ? x : other;
  const std::vector<double> norm_x = norms(x, batch * n_x, 1), norm_y = norms(y, batch * n_y, 1);
  const std::vector<double> longer_x = norms(x, batch * n_x, 1.5), longer_y = norms(y, batch * n_y, 1.5);
  struct Both {
    ResultBuffers forward, backward;
  };
  auto run = [&](const double* of_x, const double* of_y) {
    Both out{{f64, 2 * pairs, k}, {f64, 2 * pairs, k}};
    Adapters left = x.view(), right = y.view();
    left.norm = of_x, right.norm = of_y;
    pairwise({dtype, batch, m, n, left, right, symmetric, out.forward.view(), out.backward.view(), Precision::highest,
              3, 2, lams, solver},
             threads);
    return out;
  };
  const Both none = run(nullptr, nullptr), equal = run(norm_x.data(), norm_y.data()),
             longer = run(longer_x.data(), longer_y.data());
  for (int name = 0; name < metric_count; ++name) {  // one that is as long as S changes no bit
    for (int64_t at = 0; at < 2 * pairs; ++at)
      CHECK(same(equal.forward.metrics[name][at], none.forward.metrics[name][at]));
  }
  if (solver.method == Method::adam) return;
  const double unit = f64 ? 1e-13 : 2e-5;
  check_longer(longer.forward, none.forward, norm_x, norm_y, n_x, n_y, k, lams[1], unit, solver);
  if (!symmetric) check_longer(longer.backward, none.backward, norm_y, norm_x, n_y, n_x, k, lams[1], unit, solver);
}

// From shapes alone; what the CPU decides is told by the words themselves.
void test_route() {
  context = "route";
  auto route = [](DType dtype, int64_t count, int64_t k, int64_t n_y, int64_t m, int64_t n, Precision precision) {
    PairwiseArgs args{};
    args.dtype = dtype, args.batch = 1, args.m = m, args.n = n, args.precision = precision;
    args.x.count = count, args.x.k = args.y.k = k, args.y.count = n_y == 0 ? count : n_y, args.symmetric = n_y == 0;
    const PairwiseRoute found = pairwise_route(args);
    return std::string(found.u) + " " + found.v;
  };
  if (emulates_amx()) {
    CHECK(route(DType::f32, 1, 1, 0, 9, 99, Precision::highest) == "3 slices 3 slices");
    CHECK(route(DType::f16, 1, 1, 8, 9, 99, Precision::high) == "2 slices 2 slices");
    CHECK(route(DType::f64, 100, 8, 0, 99, 99, Precision::medium) == "panels panels");
    return;
  }
  const std::string level = simd_level();
  CHECK(route(DType::f32, 17, 8, 0, 511, 512, Precision::highest) ==
        (level == "amx" ? "panels 3 slices" : "panels panels"));
  CHECK(route(DType::f32, 16, 8, 0, 99, 99, Precision::highest) == "dots dots");
  CHECK(route(DType::f32, 17, 8, 0, 99, 99, Precision::highest) == "panels panels");
  CHECK(route(DType::f64, 9, 8, 100, 99, 99, Precision::highest) == "panels panels");
  CHECK(route(DType::f16, 8, 8, 100, 99, 99, Precision::high) == "dots dots");
  CHECK(route(DType::f64, 100, 8, 0, 99, 99, Precision::medium) == "panels panels");
  const std::string medium = route(DType::bf16, 100, 8, 0, 99, 20000, Precision::medium);
  if (level == "amx") CHECK(medium == "fixed 2 slices");
  if (level == "avx2") CHECK(medium == "fixed panels");
  if (level == "avx512") CHECK(medium == "panels panels" || medium == "fixed panels");  // of those with VNNI alone
  if (level == "baseline") CHECK(medium == "panels panels");
}

}  // namespace

void test_slices() {
  test_pairwise(DType::f32, 2, 17, 8, 0, 0, 257, 513, 2);
  test_pairwise(DType::bf16, 1, 19, 7, 33, 4, 319, 1025, 2, Precision::medium);
}

void test_pairs(DType dtype) {
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
  for (const Solver& solver : solvers()) {
    test_norm(dtype, true, solver, 2);
    test_norm(dtype, false, solver, 1);
  }
  test_route();
}

}  // namespace taskvec::testing
