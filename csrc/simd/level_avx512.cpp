// AVX-512 F, DQ, BW, VL: 32 registers of 64 bytes.
#define TASKVEC_LEVEL avx512
#define TASKVEC_VECTOR_BYTES 64
#define TASKVEC_REGISTER_ROWS 6
#define TASKVEC_REGISTER_VECTORS 4
#include "simd/kernels-inl.h"
