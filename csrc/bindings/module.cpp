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

#include "taskvec/taskvec.h"

namespace py = pybind11;
using namespace taskvec;

namespace {

using Address = std::uintptr_t;  // tensor.data_ptr(), 0 for none
using Strides = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
using Addresses = std::map<std::string, Address>;
// method, norm, positive, start, relative, decay, steps, lr, tol, beta1, beta2, eps
using SolverTuple = std::tuple<std::string, std::string, std::string, std::string, bool, bool, std::int64_t, double,
                               double, double, double, double>;

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
  std::string method, norm, positive, start;
  std::tie(method, norm, positive, start, solver.relative, solver.decay, solver.steps, solver.lr, solver.tol,
           solver.beta1, solver.beta2, solver.eps) = given;
  auto choose = [](const std::string& what, const std::string& name, const std::vector<std::string>& names) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) throw std::invalid_argument("unknown " + what + " '" + name + "'");
    return int(found - names.begin());
  };
  solver.method = Method(choose("method", method, {"exact", "adam"}));
  solver.norm = Norm(choose("norm", norm, {"frobenius", "squared"}));
  solver.positive = Positive(choose("positive", positive, {"clip", "softplus", "exp", "abs"}));
  solver.start = Start(choose("start", start, {"closed_form", "zeros", "normal"}));
  return solver;
}

Precision precision_of(const std::string& name) {
  if (name == "highest") return Precision::highest;
  if (name == "high") return Precision::high;
  if (name == "medium") return Precision::medium;
  throw std::invalid_argument("unknown precision '" + name + "'");
}

Metric metric_of(const std::string& name) {
  for (int id = 0; id < metric_count; ++id) {
    if (name == metric_names[id]) return Metric(id);
  }
  throw std::invalid_argument("unknown metric '" + name + "'");
}

// The results that Python asks for by name, and the addresses where they go.
struct Requests {
  std::vector<MetricOutput> metrics;
  void *spectra = nullptr, *d = nullptr;

  explicit Requests(const Addresses& addresses) {
    for (const auto& [name, address] : addresses) {
      if (name == "spectra") {
        spectra = pointer(address);
      } else if (name == "d") {
        d = pointer(address);
      } else {
        metrics.push_back({metric_of(name), pointer(address)});
      }
    }
  }
  MetricOutputs of_metrics() const { return {metrics.data(), int(metrics.size())}; }
  PairwiseOutputs of_pairs() const { return {of_metrics(), spectra, d}; }
};

// An operand as Python gives it: dtype, address, length, strides of batch, direction and position
using OperandTuple = std::tuple<std::string, Address, std::int64_t, Strides>;
// An output of every matrix of a batch: address, elements from one matrix to the next
using OutputTuple = std::tuple<Address, std::int64_t>;
// Outputs of lowrank_svd: u_t, s, vh
using SvdTuple = std::tuple<OutputTuple, OutputTuple, OutputTuple>;

Operand operand(const OperandTuple& given) {
  const auto& [dtype, address, length, strides] = given;
  return {dtype_of(dtype),
          {pointer(address), length, std::get<0>(strides), std::get<1>(strides), std::get<2>(strides)}};
}

BatchedOutput output(const OutputTuple& given) { return {pointer(std::get<0>(given)), std::get<1>(given)}; }

LowRankSVDArgs lowrank_args(std::int64_t batch, std::int64_t r, const OperandTuple& b, const OperandTuple& a,
                            Address scale, const SvdTuple& svd) {
  const auto& [u_t, s, vh] = svd;
  const Operand left = operand(b), right = operand(a);
  return {left.dtype,  batch,     r,         left.factor, right.factor, pointer<const double>(scale),
          output(u_t), output(s), output(vh)};
}

void bind_lowrank_svd(std::int64_t batch, std::int64_t r, const OperandTuple& b, const OperandTuple& a, Address scale,
                      const SvdTuple& svd, int threads) {
  const LowRankSVDArgs args = lowrank_args(batch, r, b, a, scale, svd);
  const py::gil_scoped_release release;
  lowrank_svd(args, threads);
}

void bind_lowrank_svd_cuda(std::int64_t batch, std::int64_t r, const OperandTuple& b, const OperandTuple& a,
                           Address scale, const SvdTuple& svd, int device, Address workspace, Address stream) {
  const LowRankSVDArgs args = lowrank_args(batch, r, b, a, scale, svd);
  const py::gil_scoped_release release;
  lowrank_svd_cuda(args, device, pointer(workspace), pointer(stream));
}

std::int64_t bind_cuda_workspace(std::int64_t batch, std::int64_t r, const OperandTuple& b, const OperandTuple& a,
                                 int device) {
  return lowrank_svd_cuda_workspace(lowrank_args(batch, r, b, a, 0, {}), device);
}

// dtype, batch, m, n
using PairsTuple = std::tuple<std::string, std::int64_t, std::int64_t, std::int64_t>;
// count, k, u_t, s, vh, norm, seed
using AdaptersTuple = std::tuple<std::int64_t, std::int64_t, Address, Address, Address, Address, Address>;

Adapters adapters(const AdaptersTuple& given) {
  const auto& [count, k, u_t, s, vh, norm, seed] = given;
  return {
      count, k, pointer(u_t), pointer(vh), pointer(s), pointer<const double>(norm), pointer<const std::int64_t>(seed)};
}

void bind_pairwise(const PairsTuple& pairs, const AdaptersTuple& x, const std::optional<AdaptersTuple>& y,
                   const std::string& precision, double p, const std::vector<double>& lam, const SolverTuple& solver,
                   const Addresses& forward, const Addresses& backward, int threads) {
  const Requests there(forward), back(backward);
  PairwiseArgs args;
  std::string dtype;
  std::tie(dtype, args.batch, args.m, args.n) = pairs;
  args.dtype = dtype_of(dtype);
  args.x = adapters(x), args.y = adapters(y.value_or(x)), args.symmetric = !y.has_value();
  args.forward = there.of_pairs(), args.backward = back.of_pairs();
  args.precision = precision_of(precision), args.p = p;
  args.lams = std::int64_t(lam.size()), args.lam = lam.data(), args.solver = solver_of(solver);
  const py::gil_scoped_release release;
  pairwise(args, threads);
}

std::tuple<std::string, std::string> bind_pairwise_route(const PairsTuple& pairs,
                                                         std::tuple<std::int64_t, std::int64_t> x,
                                                         std::optional<std::tuple<std::int64_t, std::int64_t>> y,
                                                         const std::string& precision) {
  PairwiseArgs args{};
  std::string dtype;
  std::tie(dtype, args.batch, args.m, args.n) = pairs;
  args.dtype = dtype_of(dtype), args.precision = precision_of(precision);
  std::tie(args.x.count, args.x.k) = x;
  std::tie(args.y.count, args.y.k) = y.value_or(x);
  args.symmetric = !y.has_value();
  const PairwiseRoute route = pairwise_route(args);
  return {route.u, route.v};
}

}  // namespace

PYBIND11_MODULE(_C, module) {
  module.doc() = "The compiled core of taskvec_kernels: plain addresses, no checks. Call it through taskvec_kernels.";
  module.def("simd_level", &simd_level,
             "Name of the SIMD level in use; ValueError when TASKVEC_SIMD names one that cannot run.");
  module.def("available_simd_levels", &available_simd_levels, "Names of the levels this CPU can run, best first.");
  module.def("why_not_amx", &why_not_amx, "Why the level amx cannot run here, in one line; empty when it can.");
  module.def("lowrank_svd", &bind_lowrank_svd, py::arg("batch"), py::arg("r"), py::arg("b"), py::arg("a"),
             py::arg("scale"), py::arg("svd"), py::arg("threads"),
             "Writes svd: u_t (batch, k, m), s (batch, k) and vh (batch, k, n), each (address, stride of batch). An "
             "operand, here b "
             "and a of one dtype, "
             "is (dtype, address, length, strides of batch, direction and position).");
  module.def("cuda_built", &cuda_built, "Whether this build has the CUDA kernels.");
  module.def("cuda_problem", &cuda_problem, py::arg("device"),
             "Why a CUDA device cannot run the kernels, in one line; empty when it can.");
  module.def("cuda_workspace", &bind_cuda_workspace, py::arg("batch"), py::arg("r"), py::arg("b"), py::arg("a"),
             py::arg("device"), "Bytes of device memory that lowrank_svd_cuda works in.");
  module.def("lowrank_svd_cuda", &bind_lowrank_svd_cuda, py::arg("batch"), py::arg("r"), py::arg("b"), py::arg("a"),
             py::arg("scale"), py::arg("svd"), py::arg("device"), py::arg("workspace"), py::arg("stream"),
             "The same on a CUDA stream: all addresses are the device's. RuntimeError when a launch is refused.");
  module.def(
      "pairwise", &bind_pairwise, py::arg("pairs"), py::arg("x"), py::arg("y"), py::arg("precision"), py::arg("p"),
      py::arg("lam"), py::arg("solver"), py::arg("forward"), py::arg("backward"), py::arg("threads"),
      "pairs is (dtype, batch, m, n); x and y are (count, k, u_t, s, vh, norm, seed), the last two 0 for none; y None: "
      "every "
      "ordered pair of x, in forward. forward and backward map names of metrics, \"spectra\" and \"d\" to addresses.");
  module.def("pairwise_route", &bind_pairwise_route, py::arg("pairs"), py::arg("x"), py::arg("y"), py::arg("precision"),
             "How pairwise multiplies the left and the right directions of such a call: \"dots\", \"panels\", "
             "\"fixed\", \"3 slices\" or \"2 slices\". x and y are (count, k).");
  module.def(
      "project",
      [](bool f64, std::int64_t batch, std::int64_t k, std::int64_t r, const OperandTuple& u, const OperandTuple& vh,
         const OperandTuple& b, const OperandTuple& a, Address scale, bool clip, Address d, int threads) {
        const ProjectArgs args{batch,       k,          r,          operand(u),
                               operand(vh), operand(b), operand(a), pointer<const double>(scale),
                               clip,        f64,        pointer(d)};
        const py::gil_scoped_release release;
        project(args, threads);
      },
      py::arg("f64"), py::arg("batch"), py::arg("k"), py::arg("r"), py::arg("u"), py::arg("vh"), py::arg("b"),
      py::arg("a"), py::arg("scale"), py::arg("clip"), py::arg("d"), py::arg("threads"), "Writes d (batch, k).");
  module.def(
      "project_dense",
      [](bool f64, std::int64_t batch, std::int64_t k, const OperandTuple& u, const OperandTuple& vh,
         const OperandTuple& tau, bool clip, Address d, int threads) {
        const ProjectDenseArgs args{batch, k, operand(u), operand(vh), operand(tau), clip, f64, pointer(d)};
        const py::gil_scoped_release release;
        project_dense(args, threads);
      },
      py::arg("f64"), py::arg("batch"), py::arg("k"), py::arg("u"), py::arg("vh"), py::arg("tau"), py::arg("clip"),
      py::arg("d"), py::arg("threads"), "Writes d (batch, k); the directions of tau are its rows.");
  module.def(
      "compare_spectra",
      [](bool f64, std::int64_t batch, std::int64_t k, Address s1, Address s2, double p, const Addresses& metrics,
         int threads) {
        const Requests requests(metrics);
        for (const MetricOutput& out : requests.metrics) {
          const std::string name = metric_names[int(out.metric)];
          if (metric_inputs[int(out.metric)] != MetricInputs::spectra) {
            throw std::invalid_argument("metric '" + name + "' needs more than two spectra");
          }
        }
        const CompareSpectraArgs args{f64, batch, k, pointer(s1), pointer(s2), p, requests.of_metrics()};
        const py::gil_scoped_release release;
        compare_spectra(args, threads);
      },
      py::arg("f64"), py::arg("batch"), py::arg("k"), py::arg("s1"), py::arg("s2"), py::arg("p"), py::arg("metrics"),
      py::arg("threads"), "metrics maps names to addresses of (batch,).");
  module.def(
      "sparsify",
      [](bool f64, std::int64_t batch, std::int64_t k, const SolverTuple& solver, Address d, Address tau_norm,
         Address lam, Address seed, Address s, Address objective, Address steps, Address converged,
         std::optional<double> slack, int threads) {
        const SparsifyArgs args{f64,
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
        return sparsify(args, threads);
      },
      py::arg("f64"), py::arg("batch"), py::arg("k"), py::arg("solver"), py::arg("d"), py::arg("tau_norm"),
      py::arg("lam"), py::arg("seed"), py::arg("s"), py::arg("objective"), py::arg("steps"), py::arg("converged"),
      py::arg("slack"), py::arg("threads"),
      "False when slack is given and a pair is not valid. solver is (method, norm, positive, start, "
      "relative, decay, steps, lr, tol, beta1, beta2, eps); seed, and the last three results, may be 0.");
}
