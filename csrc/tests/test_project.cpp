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
    return stored.values[place(index, direction, position)];
  }
  void fill(double value) {
    for (std::size_t at = 0; at < stored.values.size(); ++at) stored.set(int64_t(at), value);
  }
  // Every second direction is the one before it times `factor`.
  void repeat(double factor) {
    const int64_t batch = int64_t(stored.values.size()) / (directions * positions);
    for (int64_t index = 0; index < batch; ++index) {
      for (int64_t d = 1; d < directions; d += 2) {
        for (int64_t p = 0; p < positions; ++p) stored.set(place(index, d, p), factor * at(index, d - 1, p));
      }
    }
  }

 private:
  int64_t place(int64_t index, int64_t direction, int64_t position) const {
    const int64_t within = by_position ? position * directions + direction : direction * positions + position;
    return index * directions * positions + within;
  }
};

// A sum, and that of the magnitudes of its terms.
struct Sum {
  double value = 0, size = 0;

  void add(double term, double magnitude) { value += term, size += magnitude; }
};

// The sum over the positions of two directions.
template <class X, class Y>
Sum product(int64_t positions, X&& x, Y&& y) {
  Sum sum;
  for (int64_t p = 0; p < positions; ++p) sum.add(x(p) * y(p), std::fabs(x(p) * y(p)));
  return sum;
}

// The largest errors of docs/NUMERICS.md for any input whatever, over the size of the terms, and of what is compared
// with: that adds a product to m + n + r others in fp64.
struct Bounds {
  double unit;  // of the results
  int64_t m, n, r;

  double of_factors() const { return (run(m) + run(n)) * unit + double(m + n + 2 * r + 4) * wide; }
  double of_dense() const {
    return double(std::min<int64_t>(n, 512) + 9) * unit + double(m * ((n + 127) / 128) + m + n + 4) * wide;
  }

 private:
  static constexpr double wide = 0x1p-53;
  static double run(int64_t length) { return double(std::min<int64_t>(length, 512) + (length + 511) / 512); }
};

}  // namespace

void test_project(DType directions, DType target, int64_t batch, int64_t m, int64_t n, int64_t k, int64_t r,
                  bool transposed, int threads, Entries entries) {
  context = std::string("project ") + std::to_string(int(directions)) + " to " + std::to_string(int(target)) + " " +
            std::to_string(batch) + "x" + std::to_string(m) + "x" + std::to_string(n) + " k " + std::to_string(k) +
            " r " + std::to_string(r) + (transposed ? " transposed" : "") + " entries " + std::to_string(int(entries));
  const bool f64 = directions == DType::f64 || target == DType::f64;
  const Bounds bounds{f64 ? 0x1p-53 : 0x1p-24, m, n, r};
  Matrix u(directions, batch, k, m, transposed), v(directions, batch, k, n, transposed),
      b(target, batch, r, m, !transposed), a(target, batch, r, n, transposed), tau(target, batch, m, n, transposed);
  if (entries == Entries::equal) {
    for (Matrix* matrix : {&u, &v, &b, &a, &tau}) matrix->fill(random_normal());
  } else if (entries == Entries::cancelling) {
    b.repeat(-1), a.repeat(1);
  }
  std::vector<double> scale(batch);
  for (double& value : scale) value = random_normal();
  for (bool clip : {false, true}) {
    auto check = [&](double got, const Sum& want, double bound) {
      const double value = clip && want.value < 0 ? 0 : want.value;
      CHECK(near(got, value, bound * want.size + bounds.unit * std::fabs(value)));
    };
    Output d(f64, batch * k), dense(f64, batch * k);
    project({batch, k, r, u.view(), v.view(), b.view(), a.view(), scale.data(), clip, f64, d.data()}, threads);
    project_dense({batch, k, u.view(), v.view(), tau.view(), clip, f64, dense.data()}, threads);
    for (int64_t at = 0; at < batch * k; ++at) {
      const int64_t index = at / k, q = at % k;
      auto u_at = [&](int64_t i) { return u.at(index, q, i); };
      auto v_at = [&](int64_t j) { return v.at(index, q, j); };
      Sum of_tau, of_factors;
      for (int64_t i = 0; i < m; ++i) {
        const Sum row = product(n, [&](int64_t j) { return tau.at(index, i, j); }, v_at);
        of_tau.add(u_at(i) * row.value, std::fabs(u_at(i)) * row.size);
      }
      for (int64_t l = 0; l < r; ++l) {
        const Sum left = product(m, u_at, [&](int64_t i) { return b.at(index, l, i); });
        const Sum right = product(n, v_at, [&](int64_t j) { return a.at(index, l, j); });
        of_factors.add(scale[index] * left.value * right.value, std::fabs(scale[index]) * left.size * right.size);
      }
      check(dense[at], of_tau, bounds.of_dense());
      check(d[at], of_factors, bounds.of_factors());
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
