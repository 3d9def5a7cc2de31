// Which of a few random adapters is included in which: factors, singular directions, every ordered pair, a table.
#include <taskvec/taskvec.h>

#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

namespace {

constexpr std::int64_t adapters = 4, m = 96, n = 64, r = 8;

// The factors of τ = B · A, with B [adapters, m, r] and A [adapters, r, n].
struct Factors {
  std::vector<float> b = std::vector<float>(adapters * m * r), a = std::vector<float>(adapters * r * n);
};

// Every adapter is noise of its own, but the last one is the first with half of its rank.
Factors make_factors() {
  std::mt19937 generator(0);
  std::normal_distribution<float> normal;
  Factors factors;
  for (float& value : factors.b) value = normal(generator);
  for (float& value : factors.a) value = normal(generator);
  for (std::int64_t i = 0; i < m * r; ++i) factors.b[(adapters - 1) * m * r + i] = i % r < r / 2 ? factors.b[i] : 0;
  for (std::int64_t i = 0; i < r * n; ++i) factors.a[(adapters - 1) * r * n + i] = factors.a[i];
  return factors;
}

}  // namespace

int main() {
  const int threads = 2;
  const Factors factors = make_factors();

  // τ = U S Vᴴ of each adapter; u_t has the directions of U as rows
  std::vector<float> u_t(adapters * r * m), s(adapters * r), vh(adapters * r * n);
  const std::vector<double> scale(adapters, 1.0);
  taskvec::LowRankSVDArgs svd = {};
  svd.dtype = taskvec::DType::f32;
  svd.batch = adapters;
  svd.r = r;
  svd.b = {factors.b.data(), m, m * r, 1, r};
  svd.a = {factors.a.data(), n, r * n, n, 1};
  svd.scale = scale.data();
  svd.u_t = {u_t.data(), r * m};
  svd.s = {s.data(), r};
  svd.vh = {vh.data(), r * n};
  taskvec::lowrank_svd(svd, threads);

  // every adapter as a target, projected on the directions of every one as a source
  std::vector<float> rec(adapters * adapters), energy(adapters * adapters);
  const taskvec::MetricOutput wanted[] = {{taskvec::Metric::rec, rec.data()}, {taskvec::Metric::energy, energy.data()}};
  taskvec::PairwiseArgs pairs = {};
  pairs.dtype = taskvec::DType::f32;
  pairs.batch = 1;
  pairs.m = m;
  pairs.n = n;
  pairs.x.count = adapters;
  pairs.x.k = r;
  pairs.x.u_t = u_t.data();
  pairs.x.vh = vh.data();
  pairs.x.s = s.data();
  pairs.y = pairs.x;
  pairs.symmetric = true;
  pairs.forward.metrics = {wanted, 2};
  taskvec::pairwise(pairs, threads);

  std::printf("SIMD level %s\n%-8s%-8s%8s%8s\n", taskvec::simd_level(), "source", "target", "REC", "energy");
  for (std::int64_t i = 0; i < adapters; ++i) {
    for (std::int64_t j = 0; j < adapters; ++j) {
      if (i == j) continue;
      const std::int64_t pair = i * adapters + j;
      std::printf("%-8d%-8d%8.3f%8.3f\n", int(i), int(j), double(rec[pair]), double(energy[pair]));
    }
  }
  // the first adapter's directions hold far more of the last one than noise does
  return energy[adapters - 1] > 0.5 && energy[1] < 0.1 ? 0 : 1;
}
