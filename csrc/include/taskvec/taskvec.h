// The core of taskvec-kernels for C++ programs: plain structs of sizes and addresses, results in place.
#pragma once

#include "taskvec/compare_spectra.h"
#include "taskvec/cuda.h"
#include "taskvec/lowrank_svd.h"
#include "taskvec/pairwise.h"
#include "taskvec/project.h"
#include "taskvec/simd.h"
#include "taskvec/sparsify.h"
