// pairwise against naive loops.
#pragma once

#include "check.h"

namespace taskvec::testing {

void test_pairs(DType dtype);

}  // namespace taskvec::testing
