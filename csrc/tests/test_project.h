// project and project_dense against naive loops.
#pragma once

#include "check.h"

namespace taskvec::testing {

// equal: all entries of a matrix, so that roundings add up; cancelling: the terms of a pair of factors' directions do.
enum class Entries { random, equal, cancelling };

void test_project(DType directions, DType target, int64_t batch, int64_t m, int64_t n, int64_t k, int64_t r,
                  bool transposed, int threads, Entries entries = Entries::random);
// That bits depend neither on threads nor on the batch, and where NaN and infinities go.
void test_project_dense(DType dtype, int64_t k);

}  // namespace taskvec::testing
