// The metrics, and where a call writes their values. Enumeration, names and the kernels' switch are all made from one
// list.
#pragma once

namespace taskvec {

// What a metric is computed from: the two spectra; also d and the norms; also the subspaces, one side of the target in
// them, or its whole block; the sign patterns of d.
enum class MetricInputs : int { spectra, projection, subspaces, side, block, signs };

// X(name, inputs); cpu/metrics/metrics.h has a function of each name. The numbers are part of the interface: new
// metrics go to the end.
#define TASKVEC_METRICS(X)      \
  X(l1, spectra)                \
  X(l2, spectra)                \
  X(linf, spectra)              \
  X(lp, spectra)                \
  X(rec, spectra)               \
  X(entropy, spectra)           \
  X(entropy_projected, spectra) \
  X(cosine, projection)         \
  X(residual, projection)       \
  X(energy, projection)         \
  X(excess, projection)         \
  X(overlap_u, subspaces)       \
  X(overlap_v, subspaces)       \
  X(captured, block)            \
  X(captured_out, side)         \
  X(captured_in, side)          \
  X(rec_chance, signs)          \
  X(rec_chance_sd, signs)

enum class Metric : int {
#define TASKVEC_METRIC(name, inputs) name,
  TASKVEC_METRICS(TASKVEC_METRIC)
#undef TASKVEC_METRIC
};

constexpr const char* metric_names[] = {
#define TASKVEC_METRIC(name, inputs) #name,
    TASKVEC_METRICS(TASKVEC_METRIC)
#undef TASKVEC_METRIC
};

constexpr MetricInputs metric_inputs[] = {
#define TASKVEC_METRIC(name, inputs) MetricInputs::inputs,
    TASKVEC_METRICS(TASKVEC_METRIC)
#undef TASKVEC_METRIC
};

constexpr int metric_count = sizeof(metric_names) / sizeof(metric_names[0]);

// A metric that is asked for; the call says the shape and the type of its values.
struct MetricOutput {
  Metric metric;
  void* values;
};

struct MetricOutputs {
  const MetricOutput* list = nullptr;
  int count = 0;
};

}  // namespace taskvec
