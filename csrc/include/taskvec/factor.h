// How a factor lies in memory.
#pragma once

#include <cstdint>

namespace taskvec {

// One factor seen as directions of `length` positions: element (direction, position) of matrix `index` is at
// data + (index * batch_stride + direction * direction_stride + position * position_stride) * size_of(dtype).
struct Factor {
  const void* data;
  std::int64_t length;  // m for B, n for A
  std::int64_t batch_stride, direction_stride, position_stride;
};

}  // namespace taskvec
