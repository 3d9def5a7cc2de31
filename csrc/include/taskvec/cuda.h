// lowrank_svd on a GPU. Built without CUDA, the functions are there and say so.
#pragma once

#include <cstdint>
#include <string>

#include "taskvec/lowrank_svd.h"

namespace taskvec {

bool cuda_built();

// Why device `index` cannot run the kernels, in one line; empty when it can.
std::string cuda_problem(int index);

// Bytes that lowrank_svd_cuda needs on the device; at most 192 MiB as long as one matrix needs no more. Pointers are
// not read.
std::int64_t lowrank_svd_cuda_workspace(const LowRankSVDArgs& args, int index);

// Enqueues on `stream` (a cudaStream_t of device `index`) and returns: no synchronisation, no allocation. All pointers
// of the args and `workspace`, aligned to 64 bytes, are the device's. Throws std::runtime_error when a launch is
// refused.
void lowrank_svd_cuda(const LowRankSVDArgs& args, int index, void* workspace, void* stream);

}  // namespace taskvec
