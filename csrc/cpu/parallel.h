// A loop over independent items on a few threads of its own.
#pragma once

#include <cstdint>
#include <functional>

namespace taskvec {

// body(item, worker) for every item in [0, count), worker in [0, threads); items are taken in order.
// Rethrows the first exception of a body after all workers have stopped.
void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t, int)>& body);

// The number of threads that `products` multiply-adds in `items` parts are worth: starting one takes as long as a
// hundred thousand.
int worth(int threads, std::int64_t items, double products);

}  // namespace taskvec
