// The kernels that work on r × r matrices, and the Householder route.
#include "cuda/launch.cuh"

namespace taskvec::cuda {

void Launch::operator()(const Orthonormalise& body, int64_t blocks, int threads, int64_t shared_bytes) {
  start<Orthonormalise, team_threads>(body, blocks, threads, shared_bytes);
}

void Launch::operator()(const Core& body, int64_t blocks, int threads, int64_t shared_bytes) {
  start<Core, team_threads>(body, blocks, threads, shared_bytes);
}

void Launch::operator()(const Householder& body, int64_t blocks, int threads, int64_t shared_bytes) {
  start<Householder, team_threads>(body, blocks, threads, shared_bytes);
}

}  // namespace taskvec::cuda
