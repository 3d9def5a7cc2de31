// The kernels that read factors of double.
#include "cuda/launch.cuh"

namespace taskvec::cuda {

template <>
void enqueue<double>(const LowRankSVD& task, const Plan& plan, void* workspace, Launch& launch) {
  lowrank_pipeline<double>(task, plan, workspace, launch);
}

}  // namespace taskvec::cuda
