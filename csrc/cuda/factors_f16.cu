// The kernels that read factors of F16.
#include "cuda/launch.cuh"

namespace taskvec::cuda {

template <>
void enqueue<F16>(const LowRankSVD& task, const Plan& plan, void* workspace, Launch& launch) {
  lowrank_pipeline<F16>(task, plan, workspace, launch);
}

}  // namespace taskvec::cuda
