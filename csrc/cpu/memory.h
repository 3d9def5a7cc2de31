// Fresh memory costs a page fault each 4 KiB; large pages make that 2 MiB where the system allows them on request.
#pragma once

#include <cstdint>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace taskvec {

inline void prefer_large_pages(void* memory, std::int64_t bytes) {
#ifdef __linux__
  constexpr std::uintptr_t page = std::uintptr_t(2) << 20;
  const std::uintptr_t first = (reinterpret_cast<std::uintptr_t>(memory) + page - 1) / page * page;
  const std::uintptr_t last = (reinterpret_cast<std::uintptr_t>(memory) + std::uintptr_t(bytes)) / page * page;
  if (last > first)
    (void)madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);  // a hint: failure is no harm
#else
  (void)memory, (void)bytes;
#endif
}

}  // namespace taskvec
