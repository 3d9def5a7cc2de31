// The kernels of one SIMD level: plain functions of plain pointers, one table a level.
#pragma once

#include <cstdint>

#include "cpu/pairwise/plan.h"
#include "taskvec/compare_spectra.h"
#include "taskvec/lowrank_svd.h"
#include "taskvec/project.h"
#include "taskvec/sparsify.h"

namespace taskvec {

// Rows of a dense target that are projected at a time: whole register tiles, and four parts of a matrix of 384.
constexpr std::int64_t dense_rows = 96;

struct Kernels {
  const char* name;
  std::int64_t (*lowrank_scratch)(const LowRankSVDArgs&);  // bytes a worker
  void (*lowrank_svd)(const LowRankSVDArgs&, std::int64_t index, void* scratch);
  PairwiseKernels pairwise;
  // scratch: 2 k vectors of 64 bytes, aligned to 64
  void (*compare_spectra)(const CompareSpectraArgs&, std::int64_t first, std::int64_t last, void* scratch);
  // scratch: 7 k vectors of 64 bytes, aligned to 64
  bool (*sparsify)(const SparsifyArgs&, std::int64_t first, std::int64_t last, void* scratch);
  std::int64_t (*project_scratch)(const ProjectArgs&);  // bytes a worker
  void (*project)(const ProjectArgs&, std::int64_t index, void* scratch);
  std::int64_t (*project_dense_scratch)(const ProjectDenseArgs&);  // bytes a worker
  // V of one matrix into a worker's scratch, for every project_rows of that matrix by the worker
  void (*pack_v)(const ProjectDenseArgs&, std::int64_t index, void* scratch);
  // sum: what rows [row0, row1) of τ add to d, [k]
  void (*project_rows)(const ProjectDenseArgs&, std::int64_t index, std::int64_t row0, std::int64_t row1, double* sum,
                       void* scratch);
};

const Kernels& kernels();

extern const Kernels baseline_kernels;
#ifdef TASKVEC_X86
extern const Kernels avx2_kernels, avx512_kernels;
#endif
#ifdef TASKVEC_AMX_LEVEL
extern const PairwiseKernels amx_pairwise;  // the rest of that level is avx512's
#endif

}  // namespace taskvec
