// The kernels that read factors of F16.
#include "cuda/launch.cuh"

namespace taskvec::cuda {

template <>
void enqueue<F16>(const LowRankSVDArgs& args, const Plan& plan, void* workspace, Launch& launch) {
  lowrank_pipeline<F16>(args, plan, workspace, launch);
}

}  // namespace taskvec::cuda
