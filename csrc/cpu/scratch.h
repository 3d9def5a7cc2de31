// Working memory of the workers of one call.
#pragma once

#include <cstdint>
#include <memory>
#include <new>

#include "cpu/memory.h"

namespace taskvec {

class Scratch {
 public:
  Scratch(std::int64_t bytes_per_worker, int workers)
      : stride_((bytes_per_worker + 63) / 64 * 64),
        memory_(static_cast<char*>(::operator new(static_cast<std::size_t>(stride_ * workers), alignment))) {
    prefer_large_pages(memory_.get(), stride_ * workers);
  }
  void* of(int worker) const { return memory_.get() + stride_ * worker; }

 private:
  static constexpr std::align_val_t alignment{64};
  struct Free {
    void operator()(char* p) const { ::operator delete(p, alignment); }
  };
  std::int64_t stride_;
  std::unique_ptr<char, Free> memory_;
};

}  // namespace taskvec
