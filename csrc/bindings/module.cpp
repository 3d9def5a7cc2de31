// taskvec_kernels._C: addresses and sizes in, results in place. Python owns every array and keeps it alive.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "taskvec/compare_spectra.h"
#include "taskvec/cuda.h"
#include "taskvec/lowrank_svd.h"
#include "taskvec/pairwise.h"
#include "taskvec/project.h"
#include "taskvec/simd.h"
#include "taskvec/sparsify.h"

namespace py = pybind11;
using namespace taskvec;

namespace {

using Address = std::uintptr_t;  // tensor.data_ptr(), 0 for none
using Strides = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
using Addresses = std::map<std::string, Address>;
// method, norm, start, relative, decay, steps, lr, tol, beta1, beta2, eps
using SolverTuple = std::tuple<std::string, std::string, std::string, bool, bool, std::int64_t, double, double, double, double, double>;
using AdaptersTuple = std::tuple<std::int64_t, std::int64_t, Address, Address, Address, Address>;

template <class T = void>
T* pointer(Address address) {
  return reinterpret_cast<T*>(address);
}

DType dtype_of(const std::string& name) {
  if (name == "float64") return DType::f64;
  if (name == "float32") return DType::f32;
  if (name == "float16") return DType::f16;
  if (name == "bfloat16") return DType::bf16;
  throw std::invalid_argument("unknown dtype '" + name + "'");
}

Solver solver_of(const SolverTuple& given) {
  Solver solver;
  std::string method, norm, start;
  std::tie(method, norm, start, solver.relative, solver.decay, solver.steps, solver.lr, solver.tol, solver.beta1, solver.beta2,
           solver.eps) = given;
  auto choose = [](const std::string& what, const std::string& name, const std::vector<std::string>& names) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) throw std::invalid_argument("unknown " + what + " '" + name + "'");
    return int(found - names.begin());
  };
  solver.method = Method(choose("method", method, {"exact", "adam"}));
  solver.norm = Norm(choose("norm", norm, {"frobenius", "squared"}));
  solver.start = Start(choose("start", start, {"closed_form", "zeros", "normal"}));
  return solver;
}

void fill_metrics(const Addresses& addresses, void* (&metrics)[metric_count]) {
  for (int i = 0; i < metric_count; ++i) metrics[i] = nullptr;
  for (const auto& [name, address] : addresses) {
    int found = 0;
    while (found < metric_count && name != metric_names[found]) ++found;
    if (found == metric_count) throw std::invalid_argument("unknown metric '" + name + "'");
    metrics[found] = pointer(address);
  }
}

Results results(Addresses addresses) {
  Results out{};
  auto take = [&](const char* name) {
    const auto node = addresses.extract(name);
    return node.empty() ? nullptr : pointer(node.mapped());
  };
  out.spectra = take("spectra");
  out.d = take("d");
  fill_metrics(addresses, out.metrics);
  return out;
}

LowRankSVD lowrank_task(const std::string& dtype, std::int64_t batch, std::int64_t m, std::int64_t r, std::int64_t n, Address b,
                        Strides b_strides, Address a, Strides a_strides, Address scale, Address u_t, Address s, Address vh) {
  // b is (batch, m, r): its directions are the last dimension; a is (batch, r, n)
  const Factor factor_b{pointer(b), m, std::get<0>(b_strides), std::get<2>(b_strides), std::get<1>(b_strides)};
  const Factor factor_a{pointer(a), n, std::get<0>(a_strides), std::get<1>(a_strides), std::get<2>(a_strides)};
  return {dtype_of(dtype), batch, r, factor_b, factor_a, pointer<const double>(scale), pointer(u_t), pointer(s), pointer(vh)};
}

void bind_lowrank_svd(const std::string& dtype, std::int64_t batch, std::int64_t m, std::int64_t r, std::int64_t n, Address b,
                      Strides b_strides, Address a, Strides a_strides, Address scale, Address u_t, Address s, Address vh, int threads) {
  const LowRankSVD task = lowrank_task(dtype, batch, m, r, n, b, b_strides, a, a_strides, scale, u_t, s, vh);
  const py::gil_scoped_release release;
  lowrank_svd(task, threads);
}

void bind_lowrank_svd_cuda(const std::string& dtype, std::int64_t batch, std::int64_t m, std::int64_t r, std::int64_t n, Address b,
                           Strides b_strides, Address a, Strides a_strides, Address scale, Address u_t, Address s, Address vh, int device,
                           Address workspace, Address stream) {
  const LowRankSVD task = lowrank_task(dtype, batch, m, r, n, b, b_strides, a, a_strides, scale, u_t, s, vh);
  const py::gil_scoped_release release;
  lowrank_svd_cuda(task, device, pointer(workspace), pointer(stream));
}

std::int64_t bind_cuda_workspace(const std::string& dtype, std::int64_t batch, std::int64_t m, std::int64_t r, std::int64_t n, int device) {
  return lowrank_svd_cuda_workspace(lowrank_task(dtype, batch, m, r, n, 0, {}, 0, {}, 0, 0, 0, 0), device);
}

// An operand as Python gives it: dtype, address, length, strides of batch, direction and position
using OperandTuple = std::tuple<std::string, Address, std::int64_t, Strides>;

Operand operand(const OperandTuple& given) {
  const auto& [dtype, address, length, strides] = given;
  return {dtype_of(dtype), {pointer(address), length, std::get<0>(strides), std::get<1>(strides), std::get<2>(strides)}};
}

Pairwise pairwise_task(const std::string& dtype, std::int64_t batch, std::int64_t m, std::int64_t n, const AdaptersTuple& x,
                       const AdaptersTuple& y, bool symmetric, double p, bool reduced, const std::vector<double>& lam,
                       const SolverTuple& solver, const Addresses& forward, const Addresses& backward) {
  auto adapters = [](const AdaptersTuple& side) {
    const auto& [count, k, u_t, s, vh, seed] = side;
    return Adapters{count, k, pointer(u_t), pointer(vh), pointer(s), pointer<const std::int64_t>(seed)};
  };
  return {dtype_of(dtype),
          batch,
          m,
          n,
          adapters(x),
          adapters(y),
          symmetric,
          p,
          std::int64_t(lam.size()),
          lam.data(),
          solver_of(solver),
          results(forward),
          results(backward),
          reduced};
}

}  // namespace

PYBIND11_MODULE(_C, module) {
  module.doc() = "The compiled core of taskvec_kernels: plain addresses, no checks. Call it through taskvec_kernels.";
  module.def("simd_level", &simd_level, "Name of the SIMD level in use; ValueError when TASKVEC_SIMD names one that cannot run.");
  module.def("available_simd_levels", &available_simd_levels, "Names of the levels this CPU can run, best first.");
  module.def("lowrank_svd", &bind_lowrank_svd, py::arg("dtype"), py::arg("batch"), py::arg("m"), py::arg("r"), py::arg("n"), py::arg("b"),
             py::arg("b_strides"), py::arg("a"), py::arg("a_strides"), py::arg("scale"), py::arg("u_t"), py::arg("s"), py::arg("vh"),
             py::arg("threads"), "Writes u_t (batch, k, m), s (batch, k), vh (batch, k, n).");
  module.def("cuda_built", &cuda_built, "Whether this build has the CUDA kernels.");
  module.def("cuda_problem", &cuda_problem, py::arg("device"), "Why a CUDA device cannot run the kernels, in one line; empty when it can.");
  module.def("cuda_workspace", &bind_cuda_workspace, py::arg("dtype"), py::arg("batch"), py::arg("m"), py::arg("r"), py::arg("n"),
             py::arg("device"), "Bytes of device memory that lowrank_svd_cuda works in.");
  module.def("lowrank_svd_cuda", &bind_lowrank_svd_cuda, py::arg("dtype"), py::arg("batch"), py::arg("m"), py::arg("r"), py::arg("n"),
             py::arg("b"), py::arg("b_strides"), py::arg("a"), py::arg("a_strides"), py::arg("scale"), py::arg("u_t"), py::arg("s"),
             py::arg("vh"), py::arg("device"), py::arg("workspace"), py::arg("stream"),
             "The same on a CUDA stream: all addresses are the device's. RuntimeError when a launch is refused.");
  module.def(
      "pairwise",
      [](const std::string& dtype, std::int64_t batch, std::int64_t m, std::int64_t n, const AdaptersTuple& x, const AdaptersTuple& y,
         bool symmetric, double p, bool reduced, const std::vector<double>& lam, const SolverTuple& solver, const Addresses& forward,
         const Addresses& backward, int threads) {
        const Pairwise task = pairwise_task(dtype, batch, m, n, x, y, symmetric, p, reduced, lam, solver, forward, backward);
        const py::gil_scoped_release release;
        pairwise(task, threads);
      },
      py::arg("dtype"), py::arg("batch"), py::arg("m"), py::arg("n"), py::arg("x"), py::arg("y"), py::arg("symmetric"), py::arg("p"),
      py::arg("reduced"), py::arg("lam"), py::arg("solver"), py::arg("forward"), py::arg("backward"), py::arg("threads"),
      "x and y are (count, k, u_t, s, vh, seed); forward and backward map names of metrics, \"spectra\" and \"d\" to addresses.");
  module.def(
      "project",
      [](bool f64, std::int64_t batch, std::int64_t k, std::int64_t r, const OperandTuple& u, const OperandTuple& vh, const OperandTuple& b,
         const OperandTuple& a, Address scale, bool clip, Address d, int threads) {
        const Project task{batch, k,   r,         operand(u), operand(vh), operand(b), operand(a), pointer<const double>(scale),
                           clip,  f64, pointer(d)};
        const py::gil_scoped_release release;
        project(task, threads);
      },
      py::arg("f64"), py::arg("batch"), py::arg("k"), py::arg("r"), py::arg("u"), py::arg("vh"), py::arg("b"), py::arg("a"),
      py::arg("scale"), py::arg("clip"), py::arg("d"), py::arg("threads"),
      "Writes d (batch, k). An operand is (dtype, address, length, strides of batch, direction and position).");
  module.def(
      "project_dense",
      [](bool f64, std::int64_t batch, std::int64_t k, const OperandTuple& u, const OperandTuple& vh, const OperandTuple& tau, bool clip,
         Address d, int threads) {
        const ProjectDense task{batch, k, operand(u), operand(vh), operand(tau), clip, f64, pointer(d)};
        const py::gil_scoped_release release;
        project_dense(task, threads);
      },
      py::arg("f64"), py::arg("batch"), py::arg("k"), py::arg("u"), py::arg("vh"), py::arg("tau"), py::arg("clip"), py::arg("d"),
      py::arg("threads"), "Writes d (batch, k); the directions of tau are its rows.");
  module.def(
      "compare_spectra",
      [](bool f64, std::int64_t batch, std::int64_t k, Address s1, Address s2, double p, const Addresses& metrics, int threads) {
        CompareSpectra task{f64, batch, k, pointer(s1), pointer(s2), p, {}};
        fill_metrics(metrics, task.metrics);
        const py::gil_scoped_release release;
        compare_spectra(task, threads);
      },
      py::arg("f64"), py::arg("batch"), py::arg("k"), py::arg("s1"), py::arg("s2"), py::arg("p"), py::arg("metrics"), py::arg("threads"),
      "metrics maps names to addresses of (batch,).");
  module.def(
      "sparsify",
      [](bool f64, std::int64_t batch, std::int64_t k, const SolverTuple& solver, Address d, Address tau_norm, Address lam, Address seed,
         Address s, Address objective, Address steps, Address converged, std::optional<double> slack, int threads) {
        const Sparsify task{f64,
                            batch,
                            k,
                            solver_of(solver),
                            pointer(d),
                            pointer(tau_norm),
                            pointer<const double>(lam),
                            pointer<const std::int64_t>(seed),
                            pointer(s),
                            pointer(objective),
                            pointer<std::int64_t>(steps),
                            pointer<bool>(converged),
                            slack.has_value(),
                            slack.value_or(0)};
        const py::gil_scoped_release release;
        return sparsify(task, threads);
      },
      py::arg("f64"), py::arg("batch"), py::arg("k"), py::arg("solver"), py::arg("d"), py::arg("tau_norm"), py::arg("lam"), py::arg("seed"),
      py::arg("s"), py::arg("objective"), py::arg("steps"), py::arg("converged"), py::arg("slack"), py::arg("threads"),
      "False when slack is given and a pair is not valid. solver is (method, norm, start, "
      "relative, decay, steps, lr, tol, beta1, beta2, eps); seed, and the last three results, may be 0.");
}
