// What a build without CUDA has instead of the kernels.
#include <stdexcept>

#include "taskvec/cuda.h"

namespace taskvec {

namespace {
const char* const missing = "this build has no CUDA kernels: reinstall with nvcc at hand and TASKVEC_CUDA=on";
}

bool cuda_built() { return false; }

std::string cuda_problem(int) { return missing; }

std::int64_t lowrank_svd_cuda_workspace(const LowRankSVDArgs&, int) { throw std::runtime_error(missing); }

void lowrank_svd_cuda(const LowRankSVDArgs&, int, void*, void*) { throw std::runtime_error(missing); }

}  // namespace taskvec
