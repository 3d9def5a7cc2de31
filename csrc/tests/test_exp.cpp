// exp and log1p of a vector, and softplus that is made of them, against the C library's.
#define TASKVEC_LEVEL tested
#define TASKVEC_VECTOR_BYTES 16
#include "cpu/sparsify/positive.h"
//
#include "check.h"
#include "test_exp.h"

namespace taskvec::testing {
namespace {

using namespace taskvec::tested;

template <class T>
bool close(T got, double want, double units) {
  return std::fabs(double(got) - want) <= units * double(std::numeric_limits<T>::epsilon()) / 2 * std::fabs(want);
}

template <class T>
void test(T least) {
  constexpr int count = 200'000;
  const bool f64 = sizeof(T) == 8;
  const double library = f64 ? 1 : 0;  // its own error
  for (int i = 0; i < count; ++i) {
    const double share = double(i) / count;
    const T x = T(i % 2 ? 2 * share - 1 : least * (1 - 2 * share)), y = T(i % 2 ? share : std::exp2(-60 * share));
    context = "exp of " + std::to_string(double(x));
    CHECK(close(tested::exp<T>(broadcast(x))[0], std::exp(double(x)), 2 + library));
    CHECK(close(tested::log1p<T>(broadcast(y))[0], std::log1p(double(y)), 4 + library));
    const Mapped<T> found = Softplus::at<T>(broadcast(x));
    const double small = std::exp(-std::fabs(double(x)));
    CHECK(close(found.value[0], std::max(double(x), 0.0) + std::log1p(small), 5 + library));
    CHECK(close(found.slope[0], (x < 0 ? small : 1) / (1 + small), 4 + library));
  }
  context = "exp outside";
  CHECK(tested::exp<T>(broadcast(T(-1e4)))[0] == 0 && tested::exp<T>(Vec<T>{})[0] == 1);
  CHECK(std::isnan(tested::exp<T>(broadcast(T(quiet_nan)))[0]));
  CHECK(Softplus::at<T>(broadcast(T(1e4))).value[0] == T(1e4) && Softplus::at<T>(broadcast(T(-1e4))).value[0] == 0);
}

}  // namespace

void test_exp() {
  test<float>(-87.3f);
  test<double>(-708.3);
}

}  // namespace taskvec::testing
