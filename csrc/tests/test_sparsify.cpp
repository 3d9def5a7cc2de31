#include "test_sparsify.h"

#include <functional>
#include <string>

#include "check.h"

namespace taskvec::testing {
namespace {

struct Problem {
  std::vector<double> d;
  double tau_norm, lam;
  int64_t seed;

  double c2() const {
    double square = tau_norm * tau_norm;
    for (double value : d) square -= value * value;
    return std::max(0.0, square);
  }
  double objective(const std::vector<double>& s, Norm norm) const {
    double square = c2(), sum = 0;
    for (size_t i = 0; i < d.size(); ++i) square += (s[i] - d[i]) * (s[i] - d[i]), sum += s[i];
    return (norm == Norm::squared ? square : std::sqrt(square)) + lam * sum;
  }
};

// From the largest active set down, the first that agrees with itself.
std::vector<double> naive_exact(const Problem& p, Norm norm) {
  std::vector<double> most = p.d, s(p.d.size());
  std::sort(most.begin(), most.end(), std::greater<>());
  double threshold = p.lam / 2;
  for (int64_t n = int64_t(most.size()); n >= 0 && norm == Norm::frobenius; --n) {
    double inactive = p.c2();
    for (size_t i = size_t(n); i < most.size(); ++i) inactive += most[i] * most[i];
    const double room = 1 - p.lam * p.lam * double(n);
    if (room <= 0 && !(room == 0 && inactive == 0)) continue;
    threshold = p.lam * (inactive == 0 ? 0 : std::sqrt(inactive / room));
    if (n == 0 || (most[n - 1] > threshold && most[n - 1] > 0)) break;
  }
  for (size_t i = 0; i < s.size(); ++i) s[i] = std::max(0.0, p.d[i] - threshold);
  return s;
}

std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

double draw(int64_t seed, int64_t place) {
  const std::uint64_t bits = mix(mix(std::uint64_t(seed)) + std::uint64_t(place));
  const double u = (double(bits >> 32) + 1) / 4294967296.0, v = double(bits & 0xffffffff) / 4294967296.0;
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::acos(-1.0) * v);
}

// S / unit of x, and its derivative.
struct Mapped {
  double value, slope;
};

Mapped map(Positive positive, double x) {
  switch (positive) {
    case Positive::clip:
      return {x, 1};
    case Positive::softplus:
      return {std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))), 1 / (1 + std::exp(-x))};
    case Positive::exp:
      return {std::exp(x), std::exp(x)};
    case Positive::abs:
      return {std::fabs(x), x < 0 ? -1.0 : x == 0 ? 0.0 : 1.0};
  }
  return {};
}

double inverse(Positive positive, double s) {
  return positive == Positive::softplus ? s + std::log(-std::expm1(-s)) : positive == Positive::exp ? std::log(s) : s;
}

double start_of(const Problem& p, const Solver& solver, size_t place) {
  if (solver.start == Start::zeros) return 0;
  const bool clips = solver.positive == Positive::clip, never_0 = !clips && solver.positive != Positive::abs;
  const double unit = solver.relative ? p.tau_norm : 1;
  if (solver.start == Start::normal)
    return std::max((clips ? unit : 1) * draw(p.seed, int64_t(place)), clips ? 0 : -1e9);
  const double d = std::max(p.d[place], never_0 ? p.tau_norm / 1024 : 0);
  return clips ? d : inverse(solver.positive, d / unit);
}

std::vector<double> naive_adam(const Problem& p, const Solver& solver, int64_t& steps, bool& converged) {
  const size_t k = p.d.size();
  const bool clips = solver.positive == Positive::clip;
  const double unit = solver.relative ? p.tau_norm : 1, size = clips ? 1 : unit, lr = solver.lr * (clips ? unit : 1);
  std::vector<double> x(k), s(k), mean(k, 0.0), variance(k, 0.0);
  for (size_t i = 0; i < k; ++i) {
    x[i] = start_of(p, solver, i);
    s[i] = size * map(solver.positive, x[i]).value;
  }
  double last = std::numeric_limits<double>::infinity();
  converged = false;
  for (steps = 0;; ++steps) {
    const double loss = p.objective(s, solver.norm);
    converged = solver.tol > 0 && std::fabs(loss - last) <= solver.tol * unit;
    if (converged || steps == solver.steps) break;
    last = loss;
    double square = p.c2();
    for (size_t i = 0; i < k; ++i) square += (s[i] - p.d[i]) * (s[i] - p.d[i]);
    const double t = double(steps + 1), decay = solver.decay ? 1 - double(steps) / double(solver.steps) : 1;
    for (size_t i = 0; i < k; ++i) {
      const double gap = s[i] - p.d[i];
      const double of_s = p.lam + (solver.norm == Norm::squared ? 2 * gap : square == 0 ? 0 : gap / std::sqrt(square));
      const double g = of_s * map(solver.positive, x[i]).slope;
      mean[i] = solver.beta1 * mean[i] + (1 - solver.beta1) * g;
      variance[i] = solver.beta2 * variance[i] + (1 - solver.beta2) * g * g;
      const double root = std::sqrt(variance[i] / (1 - std::pow(solver.beta2, t)));
      x[i] -= lr * decay / (1 - std::pow(solver.beta1, t)) * mean[i] / (root + solver.eps);
      if (clips) x[i] = std::max(0.0, x[i]);
      s[i] = size * map(solver.positive, x[i]).value;
    }
  }
  return s;
}

void test_case(bool f64, int64_t batch, int64_t k, const Solver& solver, bool info, int threads) {
  context = std::string("sparsify ") + (f64 ? "f64 " : "f32 ") + std::to_string(batch) + "x" + std::to_string(k) +
            " method " + std::to_string(int(solver.method)) + " norm " + std::to_string(int(solver.norm)) + " start " +
            std::to_string(int(solver.start)) + " positive " + std::to_string(int(solver.positive));
  const bool adam = solver.method == Method::adam;
  Output d(f64, batch * k), tau_norm(f64, batch), s(f64, batch * k), objective(f64, batch);
  std::vector<double> lam(batch);
  std::vector<int64_t> seed(batch), steps(batch, -1);
  std::unique_ptr<bool[]> converged(new bool[std::max<int64_t>(1, batch)]());
  auto put = [&](Output& out, int64_t i, double value) {
    f64 ? void(out.d[i] = value) : void(out.f[i] = float(value));
  };
  for (int64_t i = 0; i < batch; ++i) {
    double square = 0;
    for (int64_t q = 0; q < k; ++q) {
      put(d, i * k + q, i % 5 == 4 ? -std::fabs(random_normal()) : random_normal());
      square += d[i * k + q] * d[i * k + q];
    }
    put(tau_norm, i, std::sqrt(square) * (1.05 + 0.5 * double(i % 3)));
    lam[i] = double(i % 7) * 0.2 + (adam ? 0.05 : 0), seed[i] = 1000 * i - 3;
  }
  // poison: what is not a number spoils its own pair alone
  const int64_t bad = batch > 3 ? 2 : -1;
  if (bad >= 0) put(d, bad * k + k - 1, quiet_nan);
  sparsify({f64, batch, k, solver, d.data(), tau_norm.data(), lam.data(), seed.data(), s.data(),
            info ? objective.data() : nullptr, info ? steps.data() : nullptr, info ? converged.get() : nullptr},
           threads);
  const double unit = f64 ? 1e-12 : 1e-5;
  for (int64_t i = 0; i < batch; ++i) {
    if (i == bad) {
      CHECK(std::isnan(s[i * k + k - 1]) && (!info || std::isnan(objective[i])));
      continue;
    }
    Problem p{{}, tau_norm[i], lam[i], seed[i]};
    for (int64_t q = 0; q < k; ++q) p.d.push_back(d[i * k + q]);
    int64_t want_steps = 0;
    bool want_converged = true;
    const auto want = adam ? naive_adam(p, solver, want_steps, want_converged) : naive_exact(p, solver.norm);
    const double size = p.tau_norm + (solver.relative ? 0 : 4);
    double away = 0;  // ‖S − d‖²
    for (int64_t q = 0; q < k; ++q) {
      CHECK(near(s[i * k + q], want[q], unit * size));
      away += (want[q] - p.d[q]) * (want[q] - p.d[q]);
    }
    if (!info) continue;
    // what S may be off, times the slope of the objective, and the rounding of its value
    const double root = std::sqrt(double(k)), value = p.objective(want, solver.norm);
    const double slope = solver.norm == Norm::squared ? 2 * std::sqrt(away) + unit * size * root : 1;
    CHECK(near(objective[i], value, unit * size * (slope * root + p.lam * double(k)) + unit * value));
    if (!adam || f64 || solver.tol == 0) CHECK(converged[i] == want_converged && (!adam || steps[i] == want_steps));
  }
}

}  // namespace

std::vector<Solver> solvers() {
  std::vector<Solver> all;
  for (Norm norm : {Norm::frobenius, Norm::squared}) {
    Solver solver;
    solver.norm = norm;
    all.push_back(solver);
    solver.method = Method::adam;
    solver.steps = 6, solver.lr = 0.05, solver.beta1 = 0.9, solver.beta2 = 0.999, solver.eps = 1e-8;
    for (Start start : {Start::closed_form, Start::zeros, Start::normal}) {
      solver.start = start, solver.relative = start != Start::zeros, solver.decay = norm == Norm::frobenius;
      all.push_back(solver);
    }
    for (Positive positive : {Positive::softplus, Positive::exp, Positive::abs}) {
      solver.positive = positive, solver.relative = positive != Positive::exp;
      solver.start = positive == Positive::softplus ? Start::closed_form : Start::normal;
      all.push_back(solver);
    }
  }
  return all;
}

void test_sparsify(bool f64) {
  for (Solver solver : solvers()) {
    for (int64_t k : {1, 2, 8, 33}) {
      for (int64_t batch : {0, 1, 3, 7, 8, 17}) test_case(f64, batch, k, solver, batch % 2 == 1, 1);
    }
    test_case(f64, solver.method == Method::adam ? 131 : 4100, 3, solver, true, 2);
    solver.tol = 1e-2, solver.steps = 60;
    if (f64) test_case(f64, 40, 4, solver, true, 1);
  }
}

}  // namespace taskvec::testing
