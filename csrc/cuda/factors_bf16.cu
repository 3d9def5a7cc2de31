// The kernels that read factors of BF16.
#include "cuda/launch.cuh"

namespace taskvec::cuda {

template <>
void enqueue<BF16>(const LowRankSVDArgs& args, const Plan& plan, void* workspace, Launch& launch) {
  lowrank_pipeline<BF16>(args, plan, workspace, launch);
}

}  // namespace taskvec::cuda
