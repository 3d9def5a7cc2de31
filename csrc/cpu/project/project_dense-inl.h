// What some rows of a dense target add to d = diag(Uᴴ τ V). Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/project/operands.h"

namespace taskvec::TASKVEC_LEVEL {

// The dots of a row with few directions fit in a register tile and wait for memory. More directions go into the lanes,
// which pays for packing them by position.
inline bool few_directions(int64_t k) { return k <= dot_columns; }

// Positions that are added up in T where the directions are in the lanes: their V fits in the L1 cache, and a lane of
// `dots` adds as many at the most.
constexpr int64_t dense_run = 128;
// Directions that are multiplied at a time there.
template <class T>
constexpr int64_t panel_width = TASKVEC_REGISTER_VECTORS * lanes<T>;
// Rows of few directions that are converted at a time, where they are.
constexpr int64_t converted_rows = 2 * dot_rows;

// The working memory of a worker.
template <class T>
struct DenseScratch {
  int64_t ld;      // dot_columns for few directions, else all of them to a whole vector
  T* v;            // of few [n to whole blocks of dot_depth][direction][dot_depth], else a panel_width after the other,
                   // [n][width]
  double* wide_u;  // of few [dense_rows][ld]
  T* u;            // else
  T* tau;          // rows that are converted
  double* total;   // [ld]

  // Lays the parts out from `base`; the returned size counts from a null base.
  int64_t layout(char* base, const ProjectDenseArgs& args) {
    int64_t used = 0;
    auto take = [&](auto*& pointer, int64_t count) {
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(base + used);
      used = round_up(used + count * int64_t(sizeof(*pointer)), 64);
    };
    const bool few = few_directions(args.k);
    const int64_t n = args.vh.factor.length;
    ld = few ? dot_columns : round_up(args.k, lanes<T>);
    take(v, (few ? round_up(n, dot_depth) : n) * ld);
    take(wide_u, few ? dense_rows * ld : 0);
    take(u, few ? 0 : dense_rows * ld);
    take(tau, few ? converted_rows * dot_depth : dense_rows * dense_run);
    take(total, ld);
    return used;
  }
};

// A factor with positions for directions: what is packed of it lies by position.
inline Operand turned(const Operand& x, int64_t directions) {
  const Factor& f = x.factor;
  return {x.dtype, {f.data, directions, f.batch_stride, f.position_stride, f.direction_stride}};
}

// V of one matrix, for all rows of it that a worker takes.
template <class T>
void pack_v(const ProjectDenseArgs& args, int64_t index, void* memory) {
  DenseScratch<T> scratch;
  scratch.layout(static_cast<char*>(memory), args);
  const int64_t n = args.vh.factor.length;
  if (!few_directions(args.k)) {
    for (int64_t k0 = 0; k0 < args.k; k0 += panel_width<T>) {
      const int64_t width = smaller(panel_width<T>, scratch.ld - k0);
      pack(turned(args.vh, args.k), index, 0, n, k0, smaller(width, args.k - k0), scratch.v + k0 * n, width);
    }
    return;
  }
  for (int64_t p0 = 0; p0 < n; p0 += dot_depth) {
    pack_block(args.vh, index, 0, args.k, p0, smaller(dot_depth, n - p0), scratch.v + p0 * dot_columns);
  }
}

// Whether rows of τ are multiplied where they lie.
template <class T>
inline bool lies_by_row(const Operand& tau) {
  return tau.dtype == stored<T> && tau.factor.position_stride == 1;
}

template <class T>
inline Rows<T> lying_rows(const Operand& tau, int64_t index, int64_t row0, int64_t p0) {
  const Factor& f = tau.factor;
  return {static_cast<const T*>(f.data) + index * f.batch_stride + row0 * f.direction_stride + p0, f.direction_stride};
}

// total[k] += Σ_i U_ik (τ_i · V_k) for few directions: dots, widened before they are added up.
template <class T>
void add_few(const ProjectDenseArgs& args, int64_t index, int64_t row0, int64_t rows, const DenseScratch<T>& scratch) {
  const int64_t n = args.tau.factor.length;
  pack(turned(args.u, args.k), index, row0, rows, 0, args.k, scratch.wide_u, dot_columns);
  for (int64_t p0 = 0; p0 < n; p0 += dot_depth) {
    const int64_t positions = smaller(dot_depth, n - p0), count = round_up(positions, lanes<T>);
    const bool in_place = lies_by_row<T>(args.tau) && positions == count;
    for (int64_t i0 = 0; i0 < rows; i0 += in_place ? rows : converted_rows) {
      const int64_t now = in_place ? rows : smaller(converted_rows, rows - i0);
      if (!in_place) pack(args.tau, index, row0 + i0, now, p0, positions, scratch.tau, dot_depth);
      const Rows<T> tau = in_place ? lying_rows<T>(args.tau, index, row0, p0) : Rows<T>{scratch.tau, dot_depth};
      auto add = [&](int64_t i, auto t) {
        constexpr int C = int(sizeof(t) / sizeof(T));
        Dots<double, C> weight, so_far, wide;
        for (int c = 0; c < C; ++c) wide[c] = double(t[c]);
        std::memcpy(&weight, scratch.wide_u + (i0 + i) * dot_columns, sizeof weight);
        std::memcpy(&so_far, scratch.total, sizeof so_far);
        so_far += weight * wide;
        std::memcpy(scratch.total, &so_far, sizeof so_far);
      };
      const Rows<T> v{scratch.v + p0 * dot_columns, dot_depth};
      (in_place ? dots<T, true, decltype(add)&> : dots<T, false, decltype(add)&>)(tau, now, v, args.k, count, add);
    }
  }
}

// total[k] += Σ_i U_ik (τ_i · V_k) for V vectors of directions, from `count` positions of some rows; u by row, v by
// position. An element of τ is multiplied with whole vectors, and nothing is summed over lanes. R rows are added up
// before they are widened; more than eight leave no registers for their addresses. `fetch`: the rows come from memory
// and are fetched R ahead.
template <class T, int V>
void project_lanes(const Rows<T>& tau, int64_t rows, const Rows<T>& v, int64_t count, const Rows<T>& u, double* total,
                   bool fetch) {
  constexpr int R = smaller(8, TASKVEC_REGISTER_ROWS * TASKVEC_REGISTER_VECTORS / V), L = lanes<T>;
  constexpr int64_t line = 64 / int64_t(sizeof(T));
  const int64_t ahead = fetch ? R * tau.ld : 0;
  for (int64_t i0 = 0; i0 < rows; i0 += R) {
    const T* left[R];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i) left[i] = tau[smaller<int64_t>(i0 + i, rows - 1)];
    Vec<T> acc[R][V] = {};
    for (int64_t p0 = 0; p0 < count; p0 += line) {
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) __builtin_prefetch(left[i] + ahead + p0);
      const int64_t stop = smaller(p0 + line, count);
#pragma GCC unroll 4
      for (int64_t p = p0; p < stop; ++p) outer_step(left, p, v[p], acc);
    }
#pragma GCC unroll 4
    for (int c = 0; c < V; ++c) {
      Vec<T> sum{};
#pragma GCC unroll 8
      for (int i = 0; i < R; ++i) {
        if (i0 + i < rows) sum += acc[i][c] * load(u[i0 + i] + c * L);
      }
      for (int lane = 0; lane < L; ++lane) total[c * L + lane] += double(sum[lane]);
    }
  }
}

// The kernel for the widest tile of at most `vectors` vectors.
template <class T, int V = TASKVEC_REGISTER_VECTORS>
inline auto lanes_kernel(int64_t vectors) {
  if constexpr (V > 1) {
    if (vectors < V) return lanes_kernel<T, V - 1>(vectors);
  }
  return &project_lanes<T, V>;
}

// total[k] += Σ_i U_ik (τ_i · V_k) for any number of directions.
template <class T>
void add_many(const ProjectDenseArgs& args, int64_t index, int64_t row0, int64_t rows, const DenseScratch<T>& scratch) {
  const int64_t n = args.tau.factor.length, ld = scratch.ld;
  const bool in_place = lies_by_row<T>(args.tau);
  pack(turned(args.u, args.k), index, row0, rows, 0, args.k, scratch.u, ld);
  for (int64_t p0 = 0; p0 < n; p0 += dense_run) {
    const int64_t count = smaller(dense_run, n - p0);
    if (!in_place) pack(args.tau, index, row0, rows, p0, count, scratch.tau, dense_run);
    const Rows<T> tau = in_place ? lying_rows<T>(args.tau, index, row0, p0) : Rows<T>{scratch.tau, dense_run};
    for (int64_t k0 = 0; k0 < ld; k0 += panel_width<T>) {
      const int64_t width = smaller(panel_width<T>, ld - k0);
      const Rows<T> v{scratch.v + k0 * n + p0 * width, width}, u{scratch.u + k0, ld};
      lanes_kernel<T>(width / lanes<T>)(tau, rows, v, count, u, scratch.total + k0, in_place && k0 == 0);
    }
  }
}

// sum[k] = Σ over rows [row0, row1) of τ of U_ik (τ V)_ik.
template <class T>
void project_rows(const ProjectDenseArgs& args, int64_t index, int64_t row0, int64_t row1, double* sum, void* memory) {
  DenseScratch<T> scratch;
  scratch.layout(static_cast<char*>(memory), args);
  for (int64_t k = 0; k < scratch.ld; ++k) scratch.total[k] = 0;
  (few_directions(args.k) ? add_few<T> : add_many<T>)(args, index, row0, row1 - row0, scratch);
  for (int64_t k = 0; k < args.k; ++k) sum[k] = scratch.total[k];
}

inline int64_t project_dense_scratch(const ProjectDenseArgs& args) {
  return args.f64 ? DenseScratch<double>{}.layout(nullptr, args) : DenseScratch<float>{}.layout(nullptr, args);
}

void pack_v_entry(const ProjectDenseArgs& args, int64_t index, void* scratch) {
  (args.f64 ? pack_v<double> : pack_v<float>)(args, index, scratch);
}

void project_rows_entry(const ProjectDenseArgs& args, int64_t index, int64_t row0, int64_t row1, double* sum,
                        void* scratch) {
  (args.f64 ? project_rows<double> : project_rows<float>)(args, index, row0, row1, sum, scratch);
}

}  // namespace taskvec::TASKVEC_LEVEL
