// What every CPU of the architecture has: registers of 16 bytes, 16 of them (SSE2) or 32 (NEON).
#define TASKVEC_LEVEL baseline
#define TASKVEC_VECTOR_BYTES 16
#if defined(__aarch64__)
#define TASKVEC_REGISTER_ROWS 6
#define TASKVEC_REGISTER_VECTORS 4
#else
#define TASKVEC_REGISTER_ROWS 4
#define TASKVEC_REGISTER_VECTORS 2
#endif
#include "simd/kernels-inl.h"
