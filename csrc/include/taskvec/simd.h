// Which instruction set the kernels use: found once, before the first call.
#pragma once

namespace taskvec {

// Levels that this build has and this CPU can run, best first, separated by spaces: "amx avx512 avx2 baseline".
const char* available_simd_levels();

// The level in use: the best one, or what the environment variable TASKVEC_SIMD names.
// Throws std::invalid_argument when TASKVEC_SIMD names a level that cannot run here.
const char* simd_level();

// Why level "amx" cannot run here, in one line; empty when it can.
const char* why_not_amx();

}  // namespace taskvec
