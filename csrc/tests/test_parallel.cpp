#include "test_parallel.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "cpu/parallel.h"

namespace taskvec::testing {
namespace {

// Whether a loop takes every item once, and gives no two threads one number at a time.
bool takes_all(int64_t count, int threads) {
  std::vector<std::atomic<int>> taken(count), busy(threads);
  std::atomic<bool> fine{true};
  parallel_for(count, threads, [&](int64_t item, int worker) {
    if (worker < 0 || worker >= threads || busy[worker]++ != 0) fine = false;
    ++taken[item];
    --busy[worker];
  });
  for (const auto& times : taken) fine = fine && times == 1;
  return fine;
}

bool rethrows(int threads) {
  std::atomic<int> inside{0};
  try {
    parallel_for(100, threads, [&](int64_t item, int) {
      ++inside;
      if (item == 7) {
        --inside;
        throw std::runtime_error("item 7");
      }
      std::this_thread::yield();
      --inside;
    });
  } catch (const std::runtime_error& error) {
    return inside == 0 && std::string(error.what()) == "item 7";
  }
  return false;
}

}  // namespace

void test_parallel() {
  context = "parallel_for";
  for (int round = 0; round < 50; ++round) {
    for (int threads : {1, 2, 3, 8}) {
      for (int64_t count : {0, 1, 2, 5, 100}) CHECK(takes_all(count, threads));
    }
  }
  for (int round = 0; round < 20; ++round) CHECK(rethrows(1 + round % 4));

  context = "parallel_for within and beside others";
  std::atomic<bool> fine{true};
  parallel_for(6, 3, [&](int64_t, int) {
    if (!takes_all(20, 3)) fine = false;
  });
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        if (!takes_all(9, 3)) fine = false;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(fine);

  if (std::getenv("TASKVEC_EMULATED_CPU")) {
    std::puts("parallel_for in a forked child: left out, since qemu does not fork a process of several threads");
    return;
  }
  context = "parallel_for in a forked child";
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // rather than to wait for threads that are not there
    _exit(takes_all(50, 3) ? 0 : 1);
  }
  int status = -1;
  CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

}  // namespace taskvec::testing
