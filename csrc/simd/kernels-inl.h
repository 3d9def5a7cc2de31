// All kernels of one SIMD level. A level's file defines TASKVEC_LEVEL, TASKVEC_VECTOR_BYTES, TASKVEC_REGISTER_ROWS and
// TASKVEC_REGISTER_VECTORS, and includes this once.
#pragma once

#include "cpu/lowrank/lowrank_svd-inl.h"
#include "cpu/metrics/compare_spectra-inl.h"
#include "cpu/pairwise/pairwise-inl.h"
#include "cpu/project/project-inl.h"
#include "cpu/project/project_dense-inl.h"

#define TASKVEC_STRING(x) #x
#define TASKVEC_NAME(x) TASKVEC_STRING(x)
#define TASKVEC_JOIN(x, y) x##y
#define TASKVEC_TABLE(level) TASKVEC_JOIN(level, _kernels)

namespace taskvec {

const Kernels TASKVEC_TABLE(TASKVEC_LEVEL) = {
    TASKVEC_NAME(TASKVEC_LEVEL),     &TASKVEC_LEVEL::lowrank_scratch_entry, &TASKVEC_LEVEL::lowrank_svd_entry,
    TASKVEC_LEVEL::pairwise_kernels, &TASKVEC_LEVEL::compare_entry,         &TASKVEC_LEVEL::sparsify_entry,
    &TASKVEC_LEVEL::project_scratch, &TASKVEC_LEVEL::project_entry,         &TASKVEC_LEVEL::project_dense_scratch,
    &TASKVEC_LEVEL::pack_v_entry,    &TASKVEC_LEVEL::project_rows_entry,
};

}  // namespace taskvec
