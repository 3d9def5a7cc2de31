// pairwise against naive loops.
#pragma once

#include "check.h"

namespace taskvec::testing {

void test_pairs(DType dtype);

// Round the 16 directions and 64 positions of a tile, and the 512 of a chunk.
void test_slices();

}  // namespace taskvec::testing
