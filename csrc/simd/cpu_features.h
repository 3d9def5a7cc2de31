// What this CPU has besides what its level is compiled for. Plain functions: level files call them.
#pragma once

namespace taskvec {

bool has_avx512_vnni();
bool has_avx_vnni();  // VNNI of 32-byte registers, on CPUs without AVX-512

}  // namespace taskvec
