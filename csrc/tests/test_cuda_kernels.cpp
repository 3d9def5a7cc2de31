// The CUDA kernels' own lines, run by emulated blocks against naive loops. What is left for a GPU to show: the matrix
// instruction, the shuffles, and speed.
#define TASKVEC_LEVEL emulated

#include <map>
#include <string>
#include <tuple>

#include "cuda/pipeline.h"
#include "emulated_team.h"
#include "svd_check.h"

using namespace taskvec;
using namespace taskvec::testing;
namespace kernels = taskvec::emulated;

namespace {

struct EmulatedLaunch {
  std::uint64_t seed;
  int64_t shared_limit;
  std::map<int, std::unique_ptr<EmulatedBlock>> of_size;

  template <class Body>
  void operator()(const Body& body, int64_t blocks, int threads, int64_t shared_bytes) {
    CHECK(shared_bytes <= std::max<int64_t>(shared_limit, 48 << 10));
    auto& block = of_size[threads];
    if (block == nullptr) block = std::make_unique<EmulatedBlock>(threads, seed);
    for (int64_t index = 0; index < blocks; ++index) {
      std::vector<char> shared(shared_bytes, char(0xff));  // doubles of NaN
      block->run([&](int rank) {
        EmulatedTeam team(*block, rank);
        body(team, index, shared.data());
      });
    }
  }
};

struct Options {
  bool transposed = false;
  Content content = Content::gaussian;
  std::uint64_t seed = 1;
  int64_t shared_limit = 99 << 10, chunk = 0;
  double condition = 1;  // of B, about
  double gauge = 1;      // condition of a G: B · G, G⁻¹ · A
};

struct Results {
  Output u, s, v;
};

template <class Src>
void emulate(const LowRankSVDArgs& args, const Options& options) {
  kernels::Plan plan(args, options.shared_limit);
  if (options.chunk > 0) plan.chunk = options.chunk;
  std::vector<char> workspace(plan.workspace_bytes(), char(0xff));
  EmulatedLaunch launch{options.seed, options.shared_limit, {}};
  kernels::lowrank_pipeline<Src>(args, plan, workspace.data(), launch);
}

Results run(const LowRankSVDArgs& given, const Options& options) {
  const bool f64 = given.dtype == DType::f64;
  const int64_t k = std::min({given.r, given.b.length, given.a.length});
  Results out{Output(f64, given.batch * k * given.b.length), Output(f64, given.batch * k),
              Output(f64, given.batch * k * given.a.length)};
  LowRankSVDArgs args = given;
  args.u_t = {out.u.data(), k * given.b.length}, args.s = {out.s.data(), k},
  args.vh = {out.v.data(), k * given.a.length};
  if (args.dtype == DType::f64) emulate<double>(args, options);
  if (args.dtype == DType::f32) emulate<float>(args, options);
  if (args.dtype == DType::f16) emulate<kernels::F16>(args, options);
  if (args.dtype == DType::bf16) emulate<kernels::BF16>(args, options);
  return out;
}

bool same_bits(const Output& x, const Output& y) {
  return x.f64 ? std::memcmp(x.d.data(), y.d.data(), x.d.size() * 8) == 0
               : std::memcmp(x.f.data(), y.f.data(), x.f.size() * 4) == 0;
}

// B · G and G⁻¹ · A for G = H D H, H a reflector, D from 1 to 1 / condition: τ stays, and its terms cancel.
void apply_gauge(SvdProblem& problem, int64_t matrix, double condition) {
  const int64_t r = problem.args.r;
  for (auto [stored, factor, sign] :
       {std::tuple{&problem.b, &problem.args.b, 1.0}, std::tuple{&problem.a, &problem.args.a, -1.0}}) {
    for (int64_t i = 0; i < factor->length; ++i) {
      auto at = [&](int64_t l) {
        return matrix * factor->batch_stride + i * factor->position_stride + l * factor->direction_stride;
      };
      std::vector<double> x(r);
      for (int64_t l = 0; l < r; ++l) x[l] = stored->values[at(l)];
      auto reflect = [&] {
        double sum = 0;
        for (double value : x) sum += value;
        for (double& value : x) value -= 2 * sum / double(r);
      };
      reflect();
      for (int64_t l = 0; l < r; ++l) x[l] *= std::pow(condition, -sign * double(l) / double(r - 1));
      reflect();
      for (int64_t l = 0; l < r; ++l) stored->set(at(l), x[l]);
    }
  }
}

void test(DType dtype, int64_t batch, int64_t m, int64_t r, int64_t n, Options options = {}) {
  context = std::string("cuda lowrank_svd ") + name_of(dtype) + " " + std::to_string(batch) + "x" + std::to_string(m) +
            "x" + std::to_string(r) + "x" + std::to_string(n) + (options.transposed ? " transposed" : "") +
            " content " + std::to_string(int(options.content)) + " condition " + std::to_string(options.condition) +
            " gauge " + std::to_string(options.gauge);
  const bool f64 = dtype == DType::f64;
  const int64_t k = std::min({r, m, n});
  SvdProblem problem(dtype, batch, m, r, n, options.transposed, Content::gaussian);
  Stored &b = problem.b, &a = problem.a;
  const LowRankSVDArgs& args = problem.args;
  auto place = [&](int64_t matrix, int64_t i, int64_t l) {
    return matrix * args.b.batch_stride + i * args.b.position_stride + l * args.b.direction_stride;
  };
  for (int64_t matrix = 0; matrix < batch; ++matrix) {
    for (int64_t i = 0; i < m; ++i) {
      if (options.content == Content::duplicated && r > 1) b.set(place(matrix, i, 1), b.values[place(matrix, i, 0)]);
      for (int64_t l = 1; l < r && options.condition > 1; ++l) {
        b.set(place(matrix, i, l), b.values[place(matrix, i, 0)] + b.values[place(matrix, i, l)] / options.condition);
      }
    }
  }
  if (options.gauge > 1) {
    for (int64_t matrix = 0; matrix < batch; ++matrix) apply_gauge(problem, matrix, options.gauge);
  }
  for (int64_t i = 0; i < m * r && options.content == Content::zero; ++i) b.set(i, 0);
  if (options.content == Content::not_finite) a.set(r * n - 1, quiet_nan);

  const Results out = run(args, options);
  for (int64_t index = 0; index < batch; ++index) {
    if (index == 0 && options.content == Content::not_finite) {
      bool all = true;
      for (int64_t i = 0; i < k * m; ++i) all = all && std::isnan(out.u[i]);
      for (int64_t i = 0; i < k * n; ++i) all = all && std::isnan(out.v[i]);
      for (int64_t i = 0; i < k; ++i) all = all && std::isnan(out.s[i]);
      CHECK(all);
    } else {
      // up to κ = 3e7 it counts, beyond that only what cancels
      const double kappa = std::max(options.condition, options.gauge),
                   exact = kappa > 3e7 ? 1e-12 : 1e-13 * std::max(100.0, kappa);
      const double rounding = options.gauge > 1 ? 8 * 2.2e-16 * cancellation(args, b, a, index) : 0;
      check_svd(args, b, a, out.u, out.s, out.v, index, (f64 ? exact : 1e-6) + rounding, f64 ? 5 * exact : 5e-6);
    }
  }
  if (options.content == Content::zero) CHECK(out.s[0] == 0 && out.u[0] == 0);

  if (batch == 1 && r < 33) return;
  // neither the order in which members run, nor where their matrices lie, nor the cut into chunks changes a bit
  Options other = options;
  other.seed += 17, other.shared_limit = options.shared_limit / 2, other.chunk = 1;
  const Results again = run(args, other);
  CHECK(same_bits(out.u, again.u) && same_bits(out.s, again.s) && same_bits(out.v, again.v));
}

// Bits do not depend on where a factor starts: loads of several positions need an alignment, the order of sums does
// not.
void test_alignment(DType dtype) {
  context = std::string("alignment ") + name_of(dtype);
  const int64_t m = 72, r = 5, n = 1100, size = size_of(dtype);
  const Stored b = random_stored(dtype, m * r), a = random_stored(dtype, r * n);
  std::vector<char> moved(r * n * size + size);
  std::memcpy(moved.data() + size, a.bytes.get(), r * n * size);
  const double scale = 1;
  LowRankSVDArgs args{dtype, 1,  r, {b.bytes.get(), m, m * r, 1, r}, {a.bytes.get(), n, r * n, n, 1}, &scale,
                      {},    {}, {}};
  const Results aligned = run(args, {});
  args.a.data = moved.data() + size;
  const Results unaligned = run(args, {});
  CHECK(same_bits(aligned.u, unaligned.u) && same_bits(aligned.s, unaligned.s) && same_bits(aligned.v, unaligned.v));
}

// The positions of fragments: every element once.
void test_fragments() {
  context = "fragments";
  for (int64_t padded : {8, 16, 32, 96}) {
    std::vector<int> seen(padded * padded);
    for (int64_t d = 0; d < padded; ++d) {
      for (int64_t c = 0; c < padded; ++c) ++seen.at(kernels::fragment(padded, d, c));
    }
    CHECK(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
  }
}

void test_round_robin() {
  for (int64_t n : {2, 4, 10, 64}) {
    context = "round robin of " + std::to_string(n);
    std::vector<int> met(n * n);
    for (int64_t round = 0; round < n - 1; ++round) {
      std::vector<int> used(n);
      for (int64_t i = 0; i < n / 2; ++i) {
        int64_t p, q;
        kernels::round_robin(n, round, i, p, q);
        ++used.at(p), ++used.at(q), ++met.at(std::min(p, q) * n + std::max(p, q));
      }
      CHECK(std::all_of(used.begin(), used.end(), [](int count) { return count == 1; }));
    }
    for (int64_t p = 0; p < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) CHECK(met[p * n + q] == 1);
    }
  }
}

void test_half() {
  context = "float16";
  for (int bits = 0; bits < 1 << 16; ++bits) {
    const std::uint16_t half = std::uint16_t(bits);
    Half want;
    std::memcpy(&want, &half, sizeof want);
    const double got = kernels::widen(kernels::F16{half});
    CHECK(std::isnan(double(want)) ? std::isnan(got)
                                   : got == double(want) && std::signbit(got) == std::signbit(double(want)));
  }
}

// The working memory of a call stays below 256 MiB, as long as the factors of one matrix in fp64 stay below 64.
void test_plans() {
  for (int64_t r : {1, 8, 9, 16, 17, 64, 128, 200, 256}) {
    for (int64_t length : {1, 4096, 1 << 20}) {
      context = "plan of " + std::to_string(length) + "x" + std::to_string(r);
      const LowRankSVDArgs args{
          DType::f32, 4096, r, {nullptr, length, 0, 1, r}, {nullptr, length, 0, length, 1}, nullptr, {}, {}, {}};
      const kernels::Plan plan(args, 99 << 10);
      CHECK(plan.workspace_bytes() <= (192 << 20) + std::max<int64_t>(64 << 20, plan.tall_bytes));
      CHECK(plan.team_bytes <= 99 << 10);
      CHECK(plan.splits[0] <= kernels::most_splits && plan.splits[0] * plan.span[0] >= length);
      CHECK(r > 64 || plan.in_shared == (r > 56 ? 2 : 3));
    }
  }
}

}  // namespace

int main() {
  test_fragments();
  test_round_robin();
  test_half();
  test_plans();
  const DType dtypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16};
  const Content contents[] = {Content::gaussian, Content::duplicated, Content::zero, Content::not_finite};
  for (DType dtype : dtypes) {
    test_alignment(dtype);
    for (bool transposed : {false, true}) {
      Options options;
      options.transposed = transposed;
      for (Content content : contents) {
        options.content = content;
        test(dtype, 2, 9, 3, 7, options);
        test(dtype, 2, 33, 8, 18, options);
      }
      options.content = Content::gaussian;
      for (int64_t r : {1, 2, 7, 9, 16, 17}) test(dtype, 2, 40, r, 35, options);
      for (int64_t m : {1, 31, 65}) test(dtype, 1, m, 4, 5, options);
      test(dtype, 1, 520, 2, 1030, options);  // two blocks of the rotation, two splits of the Gram matrix
    }
    if (dtype == DType::f32 || dtype == DType::f64)
      test(dtype, 1, 20, 40, 9);  // fewer rows and columns than directions
  }
  for (DType dtype : {DType::f32, DType::f64}) {
    for (double condition : {1e3, 1e6, 1e8}) {
      Options options;
      options.condition = condition;
      test(dtype, 1, 50, 8, 40, options);
      test(dtype, 1, 40, 16, 30, options);
    }
    for (double gauge : {1e6, 1e9, 1e12}) {
      Options options;
      options.gauge = gauge;
      test(dtype, 2, 50, 8, 40, options);
      test(dtype, 1, 12, 20, 15, options);  // fewer rows than directions
      options.transposed = true;
      test(dtype, 1, 40, 33, 45, options);
    }
    Options duplicated;
    duplicated.content = Content::duplicated;
    test(dtype, 1, 70, 33, 68, duplicated);
  }
  test(DType::f32, 1, 70, 65, 68);
  std::printf("%d checks, %d failures\n", checks, failures);
  return failures == 0 ? 0 : 1;
}
