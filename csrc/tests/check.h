// A check that counts, and arrays on the heap that are exactly as long as they must be, so that under AddressSanitizer
// an access out of bounds ends the run.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "simd/half.h"
#include "taskvec/dtype.h"

namespace taskvec::testing {

using std::int64_t;

inline int checks = 0, failures = 0;
inline std::string context;  // of the running case, for messages

#define CHECK(condition)                                                                \
  do {                                                                                  \
    ++checks;                                                                           \
    if (!(condition)) {                                                                 \
      ++failures;                                                                       \
      std::printf("%s:%d: [%s] %s\n", __FILE__, __LINE__, context.c_str(), #condition); \
    }                                                                                   \
  } while (false)

constexpr double quiet_nan = std::numeric_limits<double>::quiet_NaN();

inline double random_normal() {
  static std::mt19937_64 engine(7);
  static std::normal_distribution<double> normal;
  return normal(engine);
}

// Exactly `count` elements of a storage type, and their values as double.
struct Stored {
  DType dtype;
  std::unique_ptr<char[]> bytes;
  std::vector<double> values;

  Stored(DType type, int64_t count)
      : dtype(type), bytes(new char[std::max<int64_t>(1, count * size_of(type))]), values(count) {}

  void set(int64_t i, double value) {
    if (dtype == DType::f64) {
      put(i, value);
    } else if (dtype == DType::f32) {
      put(i, float(value));
    } else if (dtype == DType::f16) {
      put(i, Half(float(value)));
    } else {
      const float wide = float(value);
      std::uint32_t bits;
      std::memcpy(&bits, &wide, sizeof bits);
      const std::uint16_t half = std::uint16_t(bits >> 16);
      std::memcpy(&bytes[i * 2], &half, sizeof half);
      bits = std::uint32_t(half) << 16;
      float narrow;
      std::memcpy(&narrow, &bits, sizeof narrow);
      values[i] = narrow;
    }
  }

 private:
  template <class T>
  void put(int64_t i, T value) {
    std::memcpy(&bytes[i * int64_t(sizeof(T))], &value, sizeof value);
    values[i] = double(value);
  }
};

inline Stored random_stored(DType dtype, int64_t count, double size = 1) {
  Stored out(dtype, count);
  for (int64_t i = 0; i < count; ++i) out.set(i, size * random_normal());
  return out;
}

// An output of double or float that starts as NaN.
struct Output {
  bool f64;
  std::vector<double> d;
  std::vector<float> f;

  Output(bool wide, int64_t count) : f64(wide), d(wide ? count : 0, quiet_nan), f(wide ? 0 : count, float(quiet_nan)) {}
  void* data() { return f64 ? static_cast<void*>(d.data()) : f.data(); }
  double operator[](int64_t i) const { return f64 ? d[i] : double(f[i]); }
};

inline bool near(double got, double want, double bound) {
  return std::isnan(want) ? std::isnan(got) : std::fabs(got - want) <= bound;
}

}  // namespace taskvec::testing
