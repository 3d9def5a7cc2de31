// Results of a vector of pairs, one x_i with as many y_j as there are lanes, to where the caller wants them. Part of
// one SIMD level, see vec.h.
#pragma once

#include "simd/vec.h"
#include "taskvec/pairwise.h"

namespace taskvec::TASKVEC_LEVEL {

// to[at(lane)] = the k values of each lane in [first, last).
template <class T, class At>
inline void store_lanes(void* to, const Vec<T>* values, int64_t k, int first, int last, At&& at) {
  if (to == nullptr) return;
  for (int lane = first; lane < last; ++lane) {
    for (int64_t i = 0; i < k; ++i) static_cast<T*>(to)[at(lane) * k + i] = values[i][lane];
  }
}

// x_i → y_j: a part of row i of [sources, targets].
template <class T>
struct RowWriter {
  const PairwiseOutputs& out;
  int64_t pairs;    // of a λ
  int64_t place;    // of lane 0 among them
  int from, count;  // lanes [from, count) are wanted

  void d(const Vec<T>* d, int64_t k) const {
    store_lanes<T>(out.d, d, k, from, count, [&](int lane) { return place + lane; });
  }
  void spectra(int64_t l, const Vec<T>* s2, int64_t k) const {
    store_lanes<T>(out.spectra, s2, k, from, count, [&](int lane) { return l * pairs + place + lane; });
  }
  void metric(int64_t l, int name, Vec<T> value) const {
    T* row = static_cast<T*>(out.metrics.list[name].values) + l * pairs + place;
    if (from == 0 && count == lanes<T>) return store(row, value);
    for (int lane = from; lane < count; ++lane) row[lane] = value[lane];
  }
};

// y_j → x_i: a part of column i of [targets, sources]. Metrics are kept until there is a square of them, which can be
// stored by rows.
template <class T>
struct ColumnWriter {
  const PairwiseOutputs& out;
  int64_t pairs;       // of a λ
  int64_t place, row;  // of lane 0 and i = 0 among them, and from one lane to the next
  int count;           // lanes that are wanted
  bool diagonal;       // of lane j only i < first_j + j: an adapter with itself has one direction
  int64_t first_j;
  T* backlog;       // [λ][metric][i][lane]
  int64_t first_i;  // of the backlog
  int held = 0;
  int from = 0;  // lanes [from, count) are wanted of this i

  void d(const Vec<T>* d, int64_t k) const {
    store_lanes<T>(out.d, d, k, from, count, [&](int lane) { return place_of(lane); });
  }
  void spectra(int64_t l, const Vec<T>* s2, int64_t k) const {
    store_lanes<T>(out.spectra, s2, k, from, count, [&](int lane) { return l * pairs + place_of(lane); });
  }
  void metric(int64_t l, int name, Vec<T> value) const { store(square(l, name) + held * lanes<T>, value); }

  // To i + 1.
  void next(int64_t lams) {
    if (++held == lanes<T>) flush(lams);
  }

  void flush(int64_t lams) {
    for (int64_t l = 0; l < lams && held > 0; ++l) {
      for (int name = 0; name < out.metrics.count; ++name)
        flush(square(l, name), static_cast<T*>(out.metrics.list[name].values) + l * pairs);
    }
    first_i += held;
    held = 0;
  }

 private:
  T* square(int64_t l, int name) const { return backlog + (l * out.metrics.count + name) * lanes<T> * lanes<T>; }
  int64_t place_of(int lane) const { return place + lane * row + first_i + held; }

  void flush(const T* values, T* to) const {
    alignas(64) T by_lane[lanes<T> * lanes<T>];
    transpose_block(values, lanes<T>, by_lane, lanes<T>);
    for (int lane = 0; lane < lanes<T> && lane < count; ++lane) {
      T* const at = to + place + lane * row + first_i;
      const int64_t stop = diagonal ? smaller<int64_t>(held, first_j + lane - first_i) : held;
      for (int64_t i = 0; i < stop; ++i) at[i] = by_lane[lane * lanes<T> + i];
    }
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
