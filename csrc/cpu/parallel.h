// A loop over independent items on a few threads, which are kept between loops.
#pragma once

#include <cstdint>
#include <functional>

namespace taskvec {

// body(item, worker) for every item in [0, count), worker in [0, threads); items are taken in order.
// Rethrows the first exception of a body after all workers have stopped.
void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t, int)>& body);

// The number of threads that `products` multiply-adds in `items` parts are worth: one for each three
// hundred thousand, in which one that waits has joined.
int worth(int threads, std::int64_t items, double products);

}  // namespace taskvec
