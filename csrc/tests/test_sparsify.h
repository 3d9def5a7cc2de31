// `sparsify` against naive loops.
#pragma once

#include <vector>

#include "taskvec/sparsify.h"

namespace taskvec::testing {

// Exact and Adam from every start, both norms, a few steps.
std::vector<Solver> solvers();

void test_sparsify(bool f64);

}  // namespace taskvec::testing
