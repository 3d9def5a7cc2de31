// lowrank_svd on a GPU without Python, in buffers that are exactly as long as they must be: what compute-sanitizer
// watches; with the argument `few` one storage type and small cases alone, for what slows it down a thousand times.
// Exit status 77 where there is no GPU to run on.
#include <cuda_runtime.h>

#include <cstdlib>

#include "svd_check.h"
#include "taskvec/cuda.h"

using namespace taskvec;
using namespace taskvec::testing;

namespace {

void must(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::printf("[%s] %s\n", context.c_str(), cudaGetErrorString(error));
  std::exit(1);
}

class DeviceBuffer {
 public:
  explicit DeviceBuffer(std::size_t bytes) { must(cudaMalloc(&data_, std::max<std::size_t>(bytes, 1))); }
  ~DeviceBuffer() { (void)cudaFree(data_); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  void* get() const { return data_; }

 private:
  void* data_ = nullptr;
};

void test(DType dtype, int64_t batch, int64_t m, int64_t r, int64_t n, bool transposed, Content content) {
  context = std::string("cuda ") + name_of(dtype) + " " + std::to_string(batch) + "x" + std::to_string(m) + "x" +
            std::to_string(r) + "x" + std::to_string(n) + (transposed ? " transposed" : "") + " content " +
            std::to_string(int(content));
  const bool f64 = dtype == DType::f64;
  const int64_t k = std::min({r, m, n}), out_size = f64 ? 8 : 4;
  const SvdProblem problem(dtype, batch, m, r, n, transposed, content);
  const LowRankSVDArgs& args = problem.args;

  const DeviceBuffer b_there(batch * m * r * size_of(dtype)), a_there(batch * r * n * size_of(dtype)),
      scale_there(batch * 8);
  const DeviceBuffer u_there(batch * k * m * out_size), s_there(batch * k * out_size),
      v_there(batch * k * n * out_size);
  const DeviceBuffer workspace(lowrank_svd_cuda_workspace(args, 0));
  must(cudaMemcpy(b_there.get(), problem.b.bytes.get(), batch * m * r * size_of(dtype), cudaMemcpyHostToDevice));
  must(cudaMemcpy(a_there.get(), problem.a.bytes.get(), batch * r * n * size_of(dtype), cudaMemcpyHostToDevice));
  must(cudaMemcpy(scale_there.get(), problem.scale.data(), batch * 8, cudaMemcpyHostToDevice));
  LowRankSVDArgs there = args;
  there.b.data = b_there.get(), there.a.data = a_there.get(),
  there.scale = static_cast<const double*>(scale_there.get());
  there.u_t = {u_there.get(), k * m}, there.s = {s_there.get(), k}, there.vh = {v_there.get(), k * n};
  lowrank_svd_cuda(there, 0, workspace.get(), nullptr);
  must(cudaDeviceSynchronize());

  Output u(f64, batch * k * m), s(f64, batch * k), v(f64, batch * k * n);
  must(cudaMemcpy(u.data(), u_there.get(), batch * k * m * out_size, cudaMemcpyDeviceToHost));
  must(cudaMemcpy(s.data(), s_there.get(), batch * k * out_size, cudaMemcpyDeviceToHost));
  must(cudaMemcpy(v.data(), v_there.get(), batch * k * n * out_size, cudaMemcpyDeviceToHost));
  check_problem(problem, content, u, s, v, f64 ? 1e-11 : 1e-6);
}

}  // namespace

int main(int count, char** arguments) {
  const std::string problem = cuda_problem(0);
  if (!problem.empty()) {
    std::printf("skipped: %s\n", problem.c_str());
    return 77;
  }
  if (count > 1 && std::string(arguments[1]) == "few") {
    for (Content content : {Content::gaussian, Content::duplicated}) test(DType::f32, 2, 33, 8, 18, false, content);
    for (int64_t r : {1, 16, 17, 40}) test(DType::f32, 2, 45, r, 41, false, Content::gaussian);
    std::printf("%d checks, %d failures\n", checks, failures);
    return failures == 0 ? 0 : 1;
  }
  for (DType dtype : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
    for (bool transposed : {false, true}) {
      for (Content content : {Content::gaussian, Content::duplicated, Content::zero, Content::not_finite}) {
        test(dtype, 2, 9, 3, 7, transposed, content);
        test(dtype, 2, 33, 8, 18, transposed, content);
      }
      for (int64_t r : {1, 7, 16, 17, 40}) test(dtype, 3, 45, r, 41, transposed, Content::gaussian);
      test(dtype, 1, 520, 2, 1030, transposed, Content::gaussian);
    }
    test(dtype, 1, 70, 65, 68, false, Content::duplicated);
    test(dtype, 1, 140, 130, 135, false, Content::gaussian);
  }
  std::printf("%d checks, %d failures\n", checks, failures);
  return failures == 0 ? 0 : 1;
}
