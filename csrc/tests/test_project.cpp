#include "test_project.h"

#include <cmath>
#include <utility>
#include <vector>

#include "taskvec/project.h"

namespace taskvec::testing {
namespace {

// `batch` matrices of `directions` × `positions`, exactly as long as they must be, stored by direction or by position.
struct Matrix {
  int64_t directions, positions;
  bool by_position;
  Stored stored;

  Matrix(DType dtype, int64_t batch, int64_t rows, int64_t columns, bool transposed)
      : directions(rows),
        positions(columns),
        by_position(transposed),
        stored(random_stored(dtype, batch * rows * columns)) {}

  Operand view() const {
    const Factor by_direction{stored.bytes.get(), positions, directions * positions, positions, 1};
    const Factor turned{stored.bytes.get(), positions, directions * positions, 1, directions};
    return {stored.dtype, by_position ? turned : by_direction};
  }
  double at(int64_t index, int64_t direction, int64_t position) const {
    const int64_t within = by_position ? position * directions + direction : direction * positions + position;
    return stored.values[index * directions * positions + within];
  }
};

// d_k = Σ_ij U_ik τ_ij V_jk with τ_ij = value(i, j), and the size of its terms.
template <class Value>
double naive(const Matrix& u, const Matrix& v, int64_t index, int64_t k, double& size, Value&& value) {
  double sum = 0;
  size = 0;
  for (int64_t i = 0; i < u.positions; ++i) {
    for (int64_t j = 0; j < v.positions; ++j) {
      const double term = u.at(index, k, i) * value(i, j) * v.at(index, k, j);
      sum += term, size += term * term;
    }
  }
  size = std::sqrt(size);
  return sum;
}

}  // namespace

void test_project(DType directions, DType target, int64_t batch, int64_t m, int64_t n, int64_t k, int64_t r,
                  bool transposed, int threads) {
  context = std::string("project ") + std::to_string(int(directions)) + " to " + std::to_string(int(target)) + " " +
            std::to_string(batch) + "x" + std::to_string(m) + "x" + std::to_string(n) + " k " + std::to_string(k) +
            " r " + std::to_string(r) + (transposed ? " transposed" : "");
  const bool f64 = directions == DType::f64 || target == DType::f64;
  const double unit = f64 ? 1e-14 : 2e-6;
  const Matrix u(directions, batch, k, m, transposed), v(directions, batch, k, n, transposed),
      b(target, batch, r, m, !transposed), a(target, batch, r, n, transposed), tau(target, batch, m, n, transposed);
  std::vector<double> scale(batch);
  for (double& value : scale) value = random_normal();
  for (bool clip : {false, true}) {
    Output d(f64, batch * k), dense(f64, batch * k);
    project({batch, k, r, u.view(), v.view(), b.view(), a.view(), scale.data(), clip, f64, d.data()}, threads);
    project_dense({batch, k, u.view(), v.view(), tau.view(), clip, f64, dense.data()}, threads);
    for (int64_t index = 0; index < batch; ++index) {
      for (int64_t q = 0; q < k; ++q) {
        double size;
        auto want = [&](double value) { return clip && value < 0 ? 0 : value; };
        const double of_tau = naive(u, v, index, q, size, [&](int64_t i, int64_t j) { return tau.at(index, i, j); });
        CHECK(near(dense[index * k + q], want(of_tau), unit * (size + std::fabs(of_tau))));
        const double of_factors = naive(u, v, index, q, size, [&](int64_t i, int64_t j) {
          double sum = 0;
          for (int64_t l = 0; l < r; ++l) sum += b.at(index, l, i) * a.at(index, l, j);
          return scale[index] * sum;
        });
        CHECK(near(d[index * k + q], want(of_factors), unit * 10 * (size + std::fabs(of_factors))));
      }
    }
  }
}

void test_project_dense(DType dtype, int64_t k) {
  context = "project_dense " + std::to_string(int(dtype)) + " k " + std::to_string(k);
  constexpr int64_t batch = 3, m = 301, n = 203;
  const bool f64 = dtype == DType::f64;
  Matrix u(dtype, batch, k, m, false), v(dtype, batch, k, n, false), tau(dtype, batch, m, n, false);
  auto of = [&](int64_t first, int64_t count, int threads) {
    Output d(f64, count * k);
    auto from = [&](const Matrix& x) {
      Operand view = x.view();
      view.factor.data = x.stored.bytes.get() + first * view.factor.batch_stride * size_of(dtype);
      return view;
    };
    project_dense({count, k, from(u), from(v), from(tau), false, f64, d.data()}, threads);
    return d;
  };
  auto same = [&](double x, double y) { return std::memcmp(&x, &y, sizeof x) == 0; };
  const Output all = of(0, batch, 1), shared = of(0, batch, 2), last = of(batch - 1, 1, 2);
  for (int64_t at = 0; at < batch * k; ++at) {
    CHECK(same(all[at], shared[at]));
    CHECK(at < (batch - 1) * k || same(all[at], last[at - (batch - 1) * k]));
  }
  // in one direction it is seen there alone, in τ in every direction of that matrix
  for (double bad : {quiet_nan, std::numeric_limits<double>::infinity()}) {
    const int64_t direction = k - 1, u_at = (k + direction) * m + m - 1, v_at = (k + direction) * n + n - 1,
                  tau_at = 2 * m * n - 1;
    for (auto [matrix, at] : {std::pair{&u, u_at}, std::pair{&v, v_at}, std::pair{&tau, tau_at}}) {
      const double before = matrix->stored.values[at];
      matrix->stored.set(at, bad);
      const Output d = of(0, batch, 2);
      matrix->stored.set(at, before);
      for (int64_t q = 0; q < batch * k; ++q) {
        const bool hit = matrix == &tau ? q / k == 1 : q == k + direction;
        CHECK(hit ? !std::isfinite(d[q]) : same(d[q], all[q]));
      }
    }
  }
}

}  // namespace taskvec::testing
