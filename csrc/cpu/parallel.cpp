#include "cpu/parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#if __has_include(<pthread.h>)
#include <pthread.h>
#define TASKVEC_FORKS
#endif

namespace taskvec {
namespace {

// Shared with the threads, which may come after the loop is over: such a one finds it closed and touches nothing else.
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

  bool enter() {
    const std::lock_guard<std::mutex> lock(guard);
    if (!closed) ++active;
    return !closed;
  }

  void leave() {
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

// Threads that wait for loops to join: a new one each time takes longer than many loops. There are as many as were ever
// wanted at once.
class Pool {
 public:
  // Has `loop` joined by worker number `worker`, later or never. Throws when there is no memory or thread left.
  void invite(const std::shared_ptr<Loop>& loop, int worker) {
    {
      const std::lock_guard<std::mutex> lock(guard_);
      if (open_ >= idle_) {
        std::thread([this] { serve(); }).detach();
        ++idle_;
      }
      invitations_.push_back({loop, worker});
      ++open_;
    }
    wake_.notify_one();
  }

 private:
  struct Invitation {
    std::shared_ptr<Loop> loop;
    int worker;
  };

  void serve() {
    for (;;) {
      const Invitation next = take();
      const bool entered = next.loop->enter();
      if (entered) next.loop->work(next.worker);
      {
        const std::lock_guard<std::mutex> lock(guard_);
        ++idle_;  // before the loop can end, and another one ask for threads
      }
      if (entered) next.loop->leave();
    }
  }

  Invitation take() {
    // the next loop often follows at once, and to be woken takes longer than small loops do
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(100);
    while (open_ == 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    std::unique_lock<std::mutex> lock(guard_);
    wake_.wait(lock, [&] { return open_ > 0; });
    Invitation next = std::move(invitations_.front());
    invitations_.pop_front();
    --open_;
    --idle_;
    return next;
  }

  std::mutex guard_;
  std::condition_variable wake_;
  std::deque<Invitation> invitations_;
  std::atomic<int> open_{0};  // invitations; changes under the guard
  int idle_ = 0;              // threads that are free to take one
};

// Never destroyed: its threads outlive every static object. A forked child has none of them and makes its own.
std::atomic<Pool*> the_pool{nullptr};

Pool& pool() {
  static const bool once = [] {
#ifdef TASKVEC_FORKS
    pthread_atfork(nullptr, nullptr, [] { the_pool = new Pool; });
#endif
    the_pool = new Pool;
    return true;
  }();
  (void)once;
  return *the_pool;
}

}  // namespace

void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t, int)>& body) {
  if (threads <= 1 || count <= 1) {
    for (std::int64_t item = 0; item < count; ++item) body(item, 0);
    return;
  }
  const auto loop = std::make_shared<Loop>(count, body);
  const int workers = int(std::min<std::int64_t>(threads, count));
  try {
    for (int worker = 1; worker < workers; ++worker) pool().invite(loop, worker);
  } catch (const std::exception&) {  // fewer threads do
  }
  loop->work(0);
  loop->close();
  if (loop->failure) std::rethrow_exception(loop->failure);
}

int worth(int threads, std::int64_t items, double products) {
  const double most = std::min(double(items), 1 + products / 3e5);
  return int(std::max(1.0, std::min(double(threads), most)));
}

}  // namespace taskvec
