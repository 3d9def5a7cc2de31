#include "test_cpu_features.h"

#include <cerrno>
#include <cstring>
#include <string>

#include "check.h"
#include "simd/amx_facts.h"

namespace taskvec::testing {
namespace {

int asked = 0;

// A CPU and an operating system that have all, of which a test takes something away.
AmxFacts complete() {
  return {3u << 16 | 3u << 30, 1u << 1, 3u << 24, 0x600e6, [] {
            ++asked;
            return 0;
          }};
}

}  // namespace

void test_cpu_features() {
  context = "amx_problem";
  CHECK(amx_problem(complete()).empty() && asked == 1);

  const struct {
    std::uint32_t AmxFacts::* word;
    int bit;
    const char* name;
  } features[] = {
      {&AmxFacts::ebx, 16, "avx512f"},  {&AmxFacts::ebx, 17, "avx512dq"},   {&AmxFacts::ebx, 30, "avx512bw"},
      {&AmxFacts::ebx, 31, "avx512vl"}, {&AmxFacts::ecx, 1, "avx512_vbmi"}, {&AmxFacts::edx, 24, "amx_tile"},
      {&AmxFacts::edx, 25, "amx_int8"},
  };
  std::string all;
  AmxFacts nothing = complete();
  for (const auto& feature : features) {
    AmxFacts facts = complete();
    facts.*feature.word &= ~(1u << feature.bit);
    CHECK(amx_problem(facts) == std::string("the CPU has no ") + feature.name);
    nothing.*feature.word = 0;
    all += (all.empty() ? "" : ", ") + std::string(feature.name);
  }
  CHECK(amx_problem(nothing) == "the CPU has no " + all);

  for (int bit : {1, 2, 5, 6, 7, 17, 18}) {
    AmxFacts facts = complete();
    facts.kept &= ~(std::uint64_t(1) << bit);
    const std::string what = bit < 17 ? "vectors of AVX-512" : "tiles";
    CHECK(amx_problem(facts) == "the operating system does not keep " + what);
  }
  CHECK(asked == 1);  // tiles are asked for where they can be had

  AmxFacts facts = complete();
  facts.ask = [] { return EPERM; };
  CHECK(amx_problem(facts) == std::string("the operating system refuses tiles: ") + std::strerror(EPERM));
}

}  // namespace taskvec::testing
