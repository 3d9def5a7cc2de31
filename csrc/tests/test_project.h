// project and project_dense against naive loops.
#pragma once

#include "check.h"

namespace taskvec::testing {

void test_project(DType directions, DType target, int64_t batch, int64_t m, int64_t n, int64_t k, int64_t r, bool transposed, int threads);

}  // namespace taskvec::testing
