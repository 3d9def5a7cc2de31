// A CUDA block on one host thread: every member is a fiber that runs until it must wait, in an order drawn from a seed.
// A missing sync() shows as results that depend on the seed, an access out of bounds under AddressSanitizer, and
// members that do not make the same calls end the run.
#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define TASKVEC_FIBERS_OF_ASAN 1
#endif

namespace taskvec::testing {

class EmulatedBlock {
 public:
  EmulatedBlock(int size, std::uint64_t seed) : size_(size), random_(seed), fibers_(size), warps_((size + 31) / 32) {
    for (Fiber& fiber : fibers_) fiber.stack.reset(new char[stack_bytes]);
  }

  // Runs body(rank) for every rank.
  void run(const std::function<void(int)>& body) {
    body_ = &body;
    for (int rank = 0; rank < size_; ++rank) start(rank);
    std::vector<int> able, order;
    for (;;) {
      able.clear();
      for (int warp = 0; warp < int(warps_.size()); ++warp) {
        if (in_warp(warp, Waits::nothing) + in_warp(warp, Waits::warp) > 0) able.push_back(warp);
      }
      if (able.empty()) {
        if (!release_block()) return;
        continue;
      }
      // one warp at a time, so that warps run ahead of each other as far as they may
      const int warp = able[random_() % able.size()];
      if (in_warp(warp, Waits::nothing) == 0) release_warp(warp);
      order.clear();
      for (int rank = warp * 32; rank < end(warp); ++rank) {
        if (fibers_[rank].waits == Waits::nothing) order.push_back(rank);
      }
      std::shuffle(order.begin(), order.end(), random_);
      for (int rank : order) resume(rank);
    }
  }

  int rank() const { return current_; }
  int size() const { return size_; }

  bool any(bool flag) {
    pending_ |= flag;
    wait(Waits::block);
    return result_;
  }

  // Every member's two numbers; valid until its next call but one.
  const double (*exchange(double a, double b))[2] {
    Fiber& fiber = fibers_[current_];
    auto& slots = warps_[current_ / 32].slots[fiber.warp_calls++ & 1];
    slots[current_ % 32][0] = a, slots[current_ % 32][1] = b;
    wait(Waits::warp);
    return slots;
  }

 private:
  static constexpr std::size_t stack_bytes = 128 << 10;
  enum class Waits { nothing, block, warp, end };
  struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    Waits waits = Waits::nothing;
    unsigned warp_calls = 0;
  };
  struct Warp {
    double slots[2][32][2];
  };

  void start(int rank) {
    Fiber& fiber = fibers_[rank];
    fiber.waits = Waits::nothing, fiber.warp_calls = 0;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = stack_bytes;
    fiber.context.uc_link = nullptr;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    makecontext(&fiber.context, reinterpret_cast<void (*)()>(&entry), 2, unsigned(self >> 32), unsigned(self));
  }

  static void entry(unsigned high, unsigned low) {
    auto* self = reinterpret_cast<EmulatedBlock*>(std::uintptr_t(high) << 32 | low);
    self->arrived(nullptr);
    (*self->body_)(self->current_);
    self->wait(Waits::end);
  }

  void resume(int rank) {
    current_ = rank;
#ifdef TASKVEC_FIBERS_OF_ASAN
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, fibers_[rank].stack.get(), stack_bytes);
#endif
    swapcontext(&scheduler_, &fibers_[rank].context);
#ifdef TASKVEC_FIBERS_OF_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  }

  void wait(Waits waits) {
    Fiber& fiber = fibers_[current_];
    fiber.waits = waits;
    void* fake = nullptr;
#ifdef TASKVEC_FIBERS_OF_ASAN
    __sanitizer_start_switch_fiber(waits == Waits::end ? nullptr : &fake, scheduler_stack_, scheduler_bytes_);
#endif
    swapcontext(&fiber.context, &scheduler_);
    arrived(fake);
  }

  void arrived(void* fake) {
#ifdef TASKVEC_FIBERS_OF_ASAN
    __sanitizer_finish_switch_fiber(fake, &scheduler_stack_, &scheduler_bytes_);
#else
    (void)fake;
#endif
  }

  int end(int warp) const { return std::min(warp * 32 + 32, size_); }

  int in_warp(int warp, Waits waits) const {
    int count = 0;
    for (int rank = warp * 32; rank < end(warp); ++rank) count += fibers_[rank].waits == waits;
    return count;
  }

  void release_warp(int warp) {
    require(in_warp(warp, Waits::warp) == end(warp) - warp * 32,
            "only a part of a warp makes a call that takes all of it");
    for (int rank = warp * 32; rank < end(warp); ++rank) fibers_[rank].waits = Waits::nothing;
  }

  // When nobody can go on: past sync(), or false when all have ended.
  bool release_block() {
    int at_sync = 0;
    for (const Fiber& fiber : fibers_) at_sync += fiber.waits == Waits::block;
    require(at_sync == 0 || at_sync == size_, "only a part of a block gets to sync()");
    for (Fiber& fiber : fibers_) fiber.waits = at_sync > 0 ? Waits::nothing : fiber.waits;
    result_ = pending_, pending_ = false;
    return at_sync > 0;
  }

  static void require(bool condition, const char* message) {
    if (condition) return;
    std::printf("emulated block: %s\n", message);
    std::fflush(stdout);
    std::_Exit(1);
  }

  int size_, current_ = 0;
  std::mt19937_64 random_;
  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  bool pending_ = false, result_ = false;
  const std::function<void(int)>* body_ = nullptr;
  ucontext_t scheduler_;
  const void* scheduler_stack_ = nullptr;
  std::size_t scheduler_bytes_ = 0;
};

// What a kernel's body sees of its block: csrc/numerics/team.h.
class EmulatedTeam {
 public:
  EmulatedTeam(EmulatedBlock& block, int rank) : block_(block), rank_(rank) {}
  int rank() const { return rank_; }
  int size() const { return block_.size(); }
  void sync() { block_.any(false); }
  bool any(bool flag) { return block_.any(flag); }

  double sum(double x, int width) {
    const auto* slots = block_.exchange(x, 0);
    double values[32];
    for (int lane = 0; lane < 32; ++lane) values[lane] = slots[lane][0];
    for (int step = width / 2; step > 0; step /= 2) {  // the order of a butterfly of shuffles
      double next[32];
      for (int lane = 0; lane < 32; ++lane) next[lane] = values[lane] + values[lane ^ step];
      std::copy(next, next + 32, values);
    }
    return values[rank_ % 32];
  }

  void dmma(double (&c)[2], double a, double b) {
    const auto* slots = block_.exchange(a, b);
    const int row = rank_ % 32 / 4, column = rank_ % 4 * 2;
    for (int k = 0; k < 4; ++k) {
      for (int h = 0; h < 2; ++h) c[h] = std::fma(slots[row * 4 + k][0], slots[(column + h) * 4 + k][1], c[h]);
    }
  }

 private:
  EmulatedBlock& block_;
  int rank_;
};

}  // namespace taskvec::testing
