#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace taskvec {

void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t, int)>& body) {
  std::atomic<std::int64_t> next{0};
  std::exception_ptr failure;
  std::mutex guard;
  auto work = [&](int worker) {
    for (std::int64_t item; (item = next.fetch_add(1)) < count;) {
      try {
        body(item, worker);
      } catch (...) {
        std::lock_guard<std::mutex> lock(guard);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> pool;
  const auto workers = std::min<std::int64_t>(threads, count);
  for (int worker = 1; worker < workers; ++worker) pool.emplace_back(work, worker);
  work(0);
  for (auto& thread : pool) thread.join();
  if (failure) std::rethrow_exception(failure);
}

int worth(int threads, std::int64_t items, double products) {
  const double most = std::min(double(items), 1 + products / 1e6);
  return int(std::max(1.0, std::min(double(threads), most)));
}

}  // namespace taskvec
