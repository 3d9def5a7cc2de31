#include "simd/cpu_features.h"

#ifdef TASKVEC_X86
#include <cpuid.h>
#endif

namespace taskvec {
namespace {

#ifdef TASKVEC_X86
struct CpuId {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  CpuId(unsigned leaf, unsigned part) { __get_cpuid_count(leaf, part, &eax, &ebx, &ecx, &edx); }
};
#endif

}  // namespace

#ifdef TASKVEC_X86
// By their bits: older compilers do not know all of the names.
bool has_avx512_vnni() {
  static const bool found = CpuId(7, 0).ecx >> 11 & 1;
  return found;
}

bool has_avx_vnni() {
  static const bool found = CpuId(7, 0).eax >= 1 && (CpuId(7, 1).eax >> 4 & 1);
  return found;
}
#else
bool has_avx512_vnni() { return false; }
bool has_avx_vnni() { return false; }
#endif

}  // namespace taskvec
