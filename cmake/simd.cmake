# The levels above the baseline: one source, one file a level; nothing else may be compiled for more than the baseline.
include(CheckCXXSourceCompiles)

target_sources(taskvec_core PRIVATE csrc/simd/level_avx2.cpp csrc/simd/level_avx512.cpp)
target_compile_definitions(taskvec_core PRIVATE TASKVEC_X86)
set_source_files_properties(csrc/simd/level_avx2.cpp PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
set(avx512 "-mavx512f;-mavx512dq;-mavx512bw;-mavx512vl;-mfma;-mprefer-vector-width=512")
set_source_files_properties(csrc/simd/level_avx512.cpp PROPERTIES COMPILE_OPTIONS "${avx512}")

# instructions by their names, where the assembler knows them
check_cxx_source_compiles("int main() { asm volatile(\"%{vex%} vpdpwssd %%ymm0, %%ymm0, %%ymm0\" ::: \"xmm0\"); }"
  TASKVEC_HAS_AVX_VNNI)
if(TASKVEC_HAS_AVX_VNNI)
  target_compile_definitions(taskvec_core PRIVATE TASKVEC_AVX_VNNI)
endif()
check_cxx_source_compiles("int main() { asm volatile(\"tdpbssd %tmm0, %tmm1, %tmm2\"); }" TASKVEC_HAS_AMX)
if(TASKVEC_HAS_AMX)
  target_sources(taskvec_core PRIVATE csrc/simd/level_amx.cpp)
  target_compile_definitions(taskvec_core PRIVATE TASKVEC_AMX_LEVEL)
  set_source_files_properties(csrc/simd/level_amx.cpp PROPERTIES COMPILE_OPTIONS "${avx512};-mavx512vbmi")
endif()
