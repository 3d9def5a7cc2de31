#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

namespace taskvec {
namespace {

// Shared with the threads, which may start after the loop is over: such a one finds it closed and touches nothing else.
struct Loop {
  Loop(std::int64_t items, const std::function<void(std::int64_t, int)>& one) : count(items), body(one) {}

  const std::int64_t count;
  const std::function<void(std::int64_t, int)>& body;
  std::atomic<std::int64_t> next{0};
  std::atomic<int> active{0};  // threads that may call the body; changes under the guard
  std::mutex guard;
  std::condition_variable idle;
  bool closed = false;
  std::exception_ptr failure;

  void work(int worker) {
    for (std::int64_t item; (item = next.fetch_add(1)) < count;) {
      try {
        body(item, worker);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(guard);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  }

  void join_in(int worker) {
    {
      const std::lock_guard<std::mutex> lock(guard);
      if (closed) return;
      ++active;
    }
    work(worker);
    const std::lock_guard<std::mutex> lock(guard);
    if (--active == 0) idle.notify_one();
  }

  void close() {
    // waking takes longer than most last items do
    for (int i = 0; i < 1 << 12 && active > 0; ++i) std::this_thread::yield();
    std::unique_lock<std::mutex> lock(guard);
    closed = true;
    idle.wait(lock, [&] { return active == 0; });
  }
};

}  // namespace

void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t, int)>& body) {
  if (threads <= 1 || count <= 1) {
    for (std::int64_t item = 0; item < count; ++item) body(item, 0);
    return;
  }
  const auto loop = std::make_shared<Loop>(count, body);
  const int workers = int(std::min<std::int64_t>(threads, count));
  for (int worker = 1; worker < workers; ++worker) {
    try {
      std::thread([loop, worker] { loop->join_in(worker); }).detach();
    } catch (const std::system_error&) {
      break;  // the system has no more threads: fewer do
    }
  }
  loop->work(0);
  loop->close();
  if (loop->failure) std::rethrow_exception(loop->failure);
}

int worth(int threads, std::int64_t items, double products) {
  const double most = std::min(double(items), 1 + products / 1e6);
  return int(std::max(1.0, std::min(double(threads), most)));
}

}  // namespace taskvec
