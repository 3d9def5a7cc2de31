// AVX-512 with VBMI, and AMX: pairwise alone.
#define TASKVEC_LEVEL amx
#define TASKVEC_VECTOR_BYTES 64
#define TASKVEC_REGISTER_ROWS 6
#define TASKVEC_REGISTER_VECTORS 4
#define TASKVEC_AMX
#include "cpu/pairwise/pairwise-inl.h"
#include "simd/kernels.h"

namespace taskvec {

const PairwiseKernels amx_pairwise = amx::pairwise_kernels;

}  // namespace taskvec
