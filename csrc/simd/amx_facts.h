// What the level amx needs of a CPU and an operating system.
#pragma once

#include <cstdint>
#include <string>

namespace taskvec {

// CPUID leaf 7, the registers that the operating system keeps when threads change (XCR0), and its answer when it is
// asked for tiles: 0 or an errno.
struct AmxFacts {
  std::uint32_t ebx, ecx, edx;
  std::uint64_t kept;
  int (*ask)();
};

// What is missing, in one line; empty when nothing is. Tiles are asked for last, where they can be had.
std::string amx_problem(const AmxFacts& facts);

}  // namespace taskvec
