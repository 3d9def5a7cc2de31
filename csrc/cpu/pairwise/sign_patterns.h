// The sign patterns that the chance of REC is taken over: all 2^r up to 10 directions, an orthogonal array of strength
// 3 beyond (docs/METHOD.md §4). taskvec_kernels/sign_patterns.py has the same columns.
#pragma once

#include <cstdint>

namespace taskvec {

// A column of the array: the direction's sign in pattern 4 · run + j is parity(j & group) ^ parity(run & run_bits).
struct SignColumn {
  std::int32_t direction;
  std::uint32_t run_bits;
};

// For pairs of `least` to `most` directions: 4 · runs patterns, and of each its complement.
struct SignPatterns {
  std::int64_t least, most;
  std::uint32_t runs;
  const SignColumn* columns;  // by group
  std::int32_t group_end[4];
};

}  // namespace taskvec
