#include "simd/cpu_features.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "simd/amx_facts.h"

#ifdef TASKVEC_X86
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace taskvec {
namespace {

#ifdef TASKVEC_X86
// By their bits: older compilers do not know all of the names.
struct CpuId {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  CpuId(unsigned leaf, unsigned part) { __get_cpuid_count(leaf, part, &eax, &ebx, &ecx, &edx); }
};

// The registers that the operating system keeps when threads change.
std::uint64_t kept_registers() {
  if (!(CpuId(1, 0).ecx >> 27 & 1)) return 0;
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return std::uint64_t(high) << 32 | low;
}

std::string find_amx_problem() {
  if (emulates_amx()) return "TASKVEC_AMX is emulated";
#ifndef TASKVEC_AMX_LEVEL
  return "the compiler of this build does not know AMX";
#elif !defined(__linux__)
  return "used on Linux alone";
#else
  const CpuId found(7, 0);
  return amx_problem({found.ebx, found.ecx, found.edx, kept_registers(), [] {
                        constexpr long request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM
                        return syscall(SYS_arch_prctl, request, tile_data) == 0 ? 0 : errno;
                      }});
#endif
}
#endif

// Names of the features that are not there.
std::string missing_features(const AmxFacts& facts) {
  const struct {
    const char* name;
    std::uint32_t there;
  } needed[] = {
      {"avx512f", facts.ebx >> 16 & 1},  {"avx512dq", facts.ebx >> 17 & 1},   {"avx512bw", facts.ebx >> 30 & 1},
      {"avx512vl", facts.ebx >> 31 & 1}, {"avx512_vbmi", facts.ecx >> 1 & 1}, {"amx_tile", facts.edx >> 24 & 1},
      {"amx_int8", facts.edx >> 25 & 1},
  };
  std::string text;
  for (const auto& one : needed) {
    if (!one.there) text += (text.empty() ? "" : ", ") + std::string(one.name);
  }
  return text;
}

}  // namespace

#ifdef TASKVEC_X86
bool has_avx512_vnni() {
  static const bool found = CpuId(7, 0).ecx >> 11 & 1;
  return found;
}

bool has_avx_vnni() {
  static const bool found = CpuId(7, 0).eax >= 1 && (CpuId(7, 1).eax >> 4 & 1);
  return found;
}

const char* amx_problem() {
  static const std::string found = find_amx_problem();
  return found.c_str();
}
#else
bool has_avx512_vnni() { return false; }
bool has_avx_vnni() { return false; }
const char* amx_problem() { return "the CPU is not an x86 one"; }
#endif

std::string amx_problem(const AmxFacts& facts) {
  const std::string missing = missing_features(facts);
  if (!missing.empty()) return "the CPU has no " + missing;
  constexpr std::uint64_t vectors = 0xe6, tiles = 3 << 17;
  if ((facts.kept & vectors) != vectors) return "the operating system does not keep vectors of AVX-512";
  if ((facts.kept & tiles) != tiles) return "the operating system does not keep tiles";
  const int refused = facts.ask();
  return refused == 0 ? "" : "the operating system refuses tiles: " + std::string(std::strerror(refused));
}

bool emulates_amx() {
  static const char* const asked = std::getenv("TASKVEC_AMX");
  static const bool emulated = asked != nullptr && std::strcmp(asked, "emulated") == 0;
  return emulated;
}

}  // namespace taskvec
