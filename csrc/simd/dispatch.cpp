#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "simd/cpu_features.h"
#include "simd/kernels.h"
#include "taskvec/simd.h"

namespace taskvec {
namespace {

#ifdef TASKVEC_AMX_LEVEL
const Kernels& amx_kernels() {
  static const Kernels level = [] {
    Kernels kernels = avx512_kernels;
    kernels.name = "amx", kernels.pairwise = amx_pairwise;
    return kernels;
  }();
  return level;
}
#endif

// Best first. A level is there only when the CPU and the operating system have all that its files are compiled for.
std::vector<const Kernels*> runnable() {
  std::vector<const Kernels*> levels;
#ifdef TASKVEC_X86
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
#ifdef TASKVEC_AMX_LEVEL
    if (*amx_problem() == '\0') levels.push_back(&amx_kernels());
#endif
    levels.push_back(&avx512_kernels);
  }
  if (avx2) levels.push_back(&avx2_kernels);
#endif
  levels.push_back(&baseline_kernels);
  return levels;
}

std::string names(const std::vector<const Kernels*>& levels) {
  std::string text;
  for (const auto* level : levels) text += (text.empty() ? "" : " ") + std::string(level->name);
  return text;
}

const Kernels* choose() {
  const char* tiles = std::getenv("TASKVEC_AMX");
  if (tiles != nullptr && *tiles != '\0' && !emulates_amx()) {
    throw std::invalid_argument("TASKVEC_AMX is '" + std::string(tiles) + "', expected: emulated");
  }
  const auto levels = runnable();
  const char* forced = std::getenv("TASKVEC_SIMD");
  if (forced == nullptr || *forced == '\0') return levels.front();
  for (const auto* level : levels) {
    if (std::string(forced) == level->name) return level;
  }
  throw std::invalid_argument("TASKVEC_SIMD is '" + std::string(forced) + "', expected one of: " + names(levels));
}

}  // namespace

const Kernels& kernels() {
  static const Kernels* const chosen = choose();
  return *chosen;
}

const char* why_not_amx() { return amx_problem(); }

const char* simd_level() { return kernels().name; }

const char* available_simd_levels() {
  static const std::string text = names(runnable());
  return text.c_str();
}

}  // namespace taskvec
