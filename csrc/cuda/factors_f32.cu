// The kernels that read factors of float.
#include "cuda/launch.cuh"

namespace taskvec::cuda {

template <>
void enqueue<float>(const LowRankSVDArgs& args, const Plan& plan, void* workspace, Launch& launch) {
  lowrank_pipeline<float>(args, plan, workspace, launch);
}

}  // namespace taskvec::cuda
