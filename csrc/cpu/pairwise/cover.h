// The pairs of a call as blocks of adapters, the unit of work of a thread.
#pragma once

#include <vector>

#include "cpu/pairwise/plan.h"

namespace taskvec {

// Adapters that a block covers.
struct BlockSize {
  std::int64_t rows, columns;
};

// The largest blocks that keep all threads busy, or the smallest.
BlockSize block_size(const PairwiseArgs& args, int threads);

// Every wanted pair in exactly one block. No result depends on the cut.
std::vector<AdapterBlock> cover(const PairwiseArgs& args, const BlockSize& size);

}  // namespace taskvec
