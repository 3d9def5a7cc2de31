// AVX2 and FMA: 16 registers of 32 bytes.
#define TASKVEC_LEVEL avx2
#define TASKVEC_VECTOR_BYTES 32
#define TASKVEC_REGISTER_ROWS 6
#define TASKVEC_REGISTER_VECTORS 2
#include "simd/kernels-inl.h"
