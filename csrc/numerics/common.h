// What the CPU core and the CUDA kernels have in common. Like every file of this folder it belongs to one level: a file
// that is compiled for one instruction set must never share an inline function with another.
#pragma once

#ifndef TASKVEC_LEVEL
#error "define TASKVEC_LEVEL before including anything of csrc/numerics"
#endif

#include <cstdint>

#ifdef __CUDACC__
#define TASKVEC_HD __host__ __device__
#define TASKVEC_TEAM __device__ __forceinline__
#define TASKVEC_UNROLL _Pragma("unroll")
#define TASKVEC_UNROLL_1 _Pragma("unroll 1")
#define TASKVEC_UNROLL_2 _Pragma("unroll 2")
#else
#define TASKVEC_HD
#define TASKVEC_TEAM inline
#define TASKVEC_UNROLL
#define TASKVEC_UNROLL_1
#define TASKVEC_UNROLL_2
#endif

namespace taskvec::TASKVEC_LEVEL {

using std::int64_t;

constexpr double eps = 2.220446049250313e-16;

template <class T>
TASKVEC_HD constexpr T smaller(T x, T y) {
  return x < y ? x : y;
}

template <class T>
TASKVEC_HD constexpr T larger(T x, T y) {
  return x > y ? x : y;
}

TASKVEC_HD constexpr int64_t ceil_div(int64_t x, int64_t y) { return (x + y - 1) / y; }
TASKVEC_HD constexpr int64_t round_up(int64_t x, int64_t multiple) { return ceil_div(x, multiple) * multiple; }

TASKVEC_HD inline double square_root(double x) {
#ifdef __CUDACC__
  return sqrt(x);
#else
  return __builtin_sqrt(x);
#endif
}

TASKVEC_HD inline double magnitude(double x) { return x < 0 ? -x : x; }
TASKVEC_HD inline bool is_finite(double x) { return x - x == 0; }

}  // namespace taskvec::TASKVEC_LEVEL
