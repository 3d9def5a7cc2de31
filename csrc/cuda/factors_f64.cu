// The kernels that read factors of double.
#include "cuda/launch.cuh"

namespace taskvec::cuda {

template <>
void enqueue<double>(const LowRankSVDArgs& args, const Plan& plan, void* workspace, Launch& launch) {
  lowrank_pipeline<double>(args, plan, workspace, launch);
}

}  // namespace taskvec::cuda
