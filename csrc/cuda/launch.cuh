// The team of a CUDA block, and the launch of a body on a stream.
#pragma once

#define TASKVEC_LEVEL cuda

#include <cuda_runtime.h>

#include "cuda/pipeline.h"

namespace taskvec::cuda {

class BlockTeam {
 public:
  __device__ int rank() const { return int(threadIdx.x); }
  __device__ int size() const { return int(blockDim.x); }
  __device__ void sync() { __syncthreads(); }
  __device__ bool any(bool flag) { return __syncthreads_or(flag) != 0; }
  __device__ double sum(double x, int width) {
    for (int step = width / 2; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
  }
  __device__ void dmma(double (&c)[2], double a, double b) {
    // volatile: all lanes of a warp run it together, so that it may not be moved under a condition
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
                 : "+d"(c[0]), "+d"(c[1])
                 : "d"(a), "d"(b));
  }
};

extern __shared__ __align__(16) char shared_memory[];

template <class Body, int Threads>
__global__ void __launch_bounds__(Threads, Body::least_blocks) run_body(const __grid_constant__ Body body) {
  BlockTeam team;
  body(team, blockIdx.x, shared_memory);
}

struct Launch {
  cudaStream_t stream;
  cudaError_t error = cudaSuccess;

  template <class Body>
  void operator()(const Body& body, int64_t blocks, int, int64_t shared_bytes) {
    start<Body, stream_threads>(body, blocks, stream_threads, shared_bytes);
  }
  // compiled once, in teams.cu, for all storage types
  void operator()(const Orthonormalise& body, int64_t blocks, int threads, int64_t shared_bytes);
  void operator()(const Core& body, int64_t blocks, int threads, int64_t shared_bytes);
  void operator()(const Householder& body, int64_t blocks, int threads, int64_t shared_bytes);

  template <class Body, int Threads>
  void start(const Body& body, int64_t blocks, int threads, int64_t shared_bytes) {
    if (error != cudaSuccess) return;
    const auto kernel = &run_body<Body, Threads>;
    if (shared_bytes > 48 << 10)
      error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes));
    if (error != cudaSuccess) return;
    kernel<<<unsigned(blocks), threads, shared_bytes, stream>>>(body);
    error = cudaGetLastError();
  }
};

// One file a storage type, so that they compile side by side.
template <class Src>
void enqueue(const LowRankSVDArgs& args, const Plan& plan, void* workspace, Launch& launch);
template <>
void enqueue<double>(const LowRankSVDArgs&, const Plan&, void*, Launch&);
template <>
void enqueue<float>(const LowRankSVDArgs&, const Plan&, void*, Launch&);
template <>
void enqueue<F16>(const LowRankSVDArgs&, const Plan&, void*, Launch&);
template <>
void enqueue<BF16>(const LowRankSVDArgs&, const Plan&, void*, Launch&);

}  // namespace taskvec::cuda
