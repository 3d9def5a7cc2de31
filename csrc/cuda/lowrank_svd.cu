// The entry points: which device, which storage type, and what went wrong.
#include <stdexcept>

#include "cuda/launch.cuh"
#include "taskvec/cuda.h"

namespace taskvec {

namespace {

// The caller's device comes back at the end of the scope.
class OnDevice {
 public:
  explicit OnDevice(int index) {
    error = cudaGetDevice(&before_);
    if (error == cudaSuccess && before_ != index) error = cudaSetDevice(index);
  }
  ~OnDevice() {
    int now = before_;
    if (cudaGetDevice(&now) == cudaSuccess && now != before_) (void)cudaSetDevice(before_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  cudaError_t error;

 private:
  int before_ = 0;
};

std::string words(cudaError_t error) {
  return std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ")";
}

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string("lowrank_svd: ") + what + ": " + words(error));
}

cuda::Plan plan_of(const LowRankSVDArgs& args, int index) {
  int shared = 0;
  check(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, index), "cannot ask the CUDA device");
  return cuda::Plan(args, shared);
}

}  // namespace

bool cuda_built() { return true; }

std::string cuda_problem(int index) {
  int count = 0, major = 0, minor = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  (void)cudaGetLastError();  // the runtime remembers it, and it is not of a launch
  if (error != cudaSuccess) return "no usable CUDA driver: " + words(error);
  if (index >= count) return "device " + std::to_string(index) + " asked for, " + std::to_string(count) + " there";
  error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index);
  if (error != cudaSuccess) return "cannot ask device " + std::to_string(index) + ": " + words(error);
  if (major < 8) {
    return "device " + std::to_string(index) + " has compute capability " + std::to_string(major) + "." +
           std::to_string(minor) + ", the kernels need 8.0 or newer";
  }
  return "";
}

std::int64_t lowrank_svd_cuda_workspace(const LowRankSVDArgs& args, int index) {
  return plan_of(args, index).workspace_bytes();
}

void lowrank_svd_cuda(const LowRankSVDArgs& args, int index, void* workspace, void* stream) {
  if (args.batch == 0) return;
  const OnDevice device(index);
  check(device.error, "cannot use the CUDA device");
  const cuda::Plan plan = plan_of(args, index);
  cuda::Launch launch{static_cast<cudaStream_t>(stream)};
  switch (args.dtype) {
    case DType::f64:
      cuda::enqueue<double>(args, plan, workspace, launch);
      break;
    case DType::f32:
      cuda::enqueue<float>(args, plan, workspace, launch);
      break;
    case DType::f16:
      cuda::enqueue<cuda::F16>(args, plan, workspace, launch);
      break;
    case DType::bf16:
      cuda::enqueue<cuda::BF16>(args, plan, workspace, launch);
      break;
  }
  check(launch.error, "a CUDA kernel was not launched");
}

}  // namespace taskvec
