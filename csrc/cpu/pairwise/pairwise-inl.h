// One tile of pairs: two Gram products, then one pass that forms both directions and reduces them to metrics.
// Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/metrics/metrics.h"
#include "cpu/products/panels.h"
#include "cpu/products/small_gram.h"
#include "cpu/sparsify/sparsify-inl.h"
#include "simd/kernels.h"

namespace taskvec::TASKVEC_LEVEL {

// The columns of a tile are the directions of y in groups of adapters: [group][direction][adapter of the group], so
// that lanes are pairs and no step of the epilogue works across lanes.
struct Columns {
  int64_t adapters, k, group;  // `group` adapters each, the last may have fewer

  int64_t groups() const { return (adapters + group - 1) / group; }
  int64_t size(int64_t g) const { return smaller(group, adapters - g * group); }
  int64_t offset(int64_t g) const { return g * group * k; }
  // Where the directions of adapter j are.
  Place place(int64_t j) const { return {offset(j / group) + j % group, size(j / group)}; }
  // Row of [adapter][direction] storage that column c holds.
  int64_t source(int64_t c) const {
    const int64_t g = c / (group * k), within = c % (group * k);
    return (g * group + within % size(g)) * k + within / size(g);
  }
};

// Rows whose A panels stay in the L2 cache while all B panels pass.
constexpr int64_t row_block = 30 * tile_rows;

// Results of y_j→x_i for a vector of j and consecutive i, kept until they fill a square that can be stored by rows.
template <class T>
struct Backlog {
  static constexpr int most = lanes<T>;
  T* values;  // [metrics][i][lane of j]
  int64_t first_i;
  int count;

  // Row j of the [targets, sources] result gets the i below `limit(lane)`.
  template <class Limit>
  void flush(const PairwiseOutputs& out, int64_t place, int64_t j0, int lanes_used, int64_t row, Limit&& limit) {
    for (int name = 0; name < out.metrics.count && count > 0; ++name) {
      alignas(64) T by_lane[most * most];
      transpose_block(values + name * most * most, most, by_lane, most);
      for (int lane = 0; lane < lanes_used; ++lane) {
        T* to = static_cast<T*>(out.metrics.list[name].values) + place + (j0 + lane) * row + first_i;
        const int64_t stop = smaller<int64_t>(count, limit(lane) - first_i);
        for (int64_t s = 0; s < stop; ++s) to[s] = by_lane[lane * most + s];
      }
    }
    first_i += count;
    count = 0;
  }
};

template <class T>
struct TileScratch {
  T *gram_u, *gram_v, *rows, *columns;
  int64_t* source;               // row of y that a column holds
  float *squares_x, *squares_y;  // of the norms of rows and columns, for fixed point
  Vec<T>*s_x, *s_y, *forward, *backward, *projected, *solver;
  Backlog<T>* backlog;  // [lams]
  int64_t ld;

  // Lays the parts out from `base`; the returned size counts from a null base.
  int64_t layout(char* base, const PairwiseArgs& args, int64_t row_adapters, int64_t column_adapters) {
    int64_t used = 0;
    auto take = [&](auto*& pointer, int64_t count) {
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(base + used);
      used = round_up(used + count * int64_t(sizeof(*pointer)), 64);
    };
    const int64_t n_rows = row_adapters * args.x.k, n_columns = column_adapters * args.y.k;
    // an odd number of cache lines keeps the rows of C in different cache sets; the slack is read past a row's end
    ld = round_up(n_columns + lanes<T>, tile_columns<T>) + 64 / int64_t(sizeof(T));
    take(gram_u, n_rows * ld);
    take(gram_v, n_rows * ld);
    take(rows, row_block * depth<T>);
    take(columns, larger(round_up(n_columns, tile_columns<T>) * depth<T>, dot_columns * dot_depth));
    take(source, n_columns);
    take(squares_x, n_rows);
    take(squares_y, n_columns);
    take(s_x, args.x.k);
    take(s_y, args.y.k);
    take(forward, args.x.k);
    take(backward, args.y.k);
    take(projected, larger(args.x.k, args.y.k));
    take(solver, 3 * larger(args.x.k, args.y.k));
    take(backlog, args.lams);
    const int64_t metrics = (args.symmetric ? args.forward : args.backward).metrics.count, square = Backlog<T>::most * Backlog<T>::most;
    T* values = nullptr;
    take(values, args.lams * metrics * square);
    for (int64_t l = 0; base != nullptr && l < args.lams; ++l) backlog[l].values = values + l * metrics * square;
    return used + 64;  // to align the base
  }
};

// gram[row][column] = X_row · Y_column for the tile's rows and columns; with `diagonal` only what pairs i <= j need.
// Rows and columns are packed just before the first product that reads them, from lines the product before it fetched.
template <class Word, class T, class Src>
void tile_gram(const Src* x, const Src* y, int64_t length, int64_t n_rows, int64_t k_x, const Columns& columns, bool diagonal,
               const TileScratch<T>& scratch, T* gram) {
  const int64_t n_columns = columns.adapters * columns.k, panel = tile_columns<Word>, most = depth<Word> * per_word<Word>;
  // words are as large as T
  Word *packed_rows = reinterpret_cast<Word*>(scratch.rows), *packed_columns = reinterpret_cast<Word*>(scratch.columns);
  Word* C = reinterpret_cast<Word*>(gram);
  for (int64_t k0 = 0; k0 < length; k0 += most) {
    const int64_t count = smaller(most, length - k0);
    for (int64_t r0 = 0; r0 < n_rows; r0 += row_block) {
      const int64_t r1 = smaller(r0 + row_block, n_rows);
      int64_t packed = r0;
      for (int64_t c0 = 0; c0 < n_columns; c0 += panel) {
        const int64_t c1 = smaller(c0 + panel, n_columns);
        if (r0 == 0) {
          pack_columns(y, length, scratch.source + c0, c1 - c0, k0, count, packed_columns + c0 * depth<Word>);
          if constexpr (std::is_same_v<Word, FixedPair>) {
            for (int64_t c = c0; c < c1; ++c) scratch.squares_y[c] += sum_of_squares(y + scratch.source[c] * length + k0, count);
          }
        }
        // adapters after the last group of this panel pair with it only below the diagonal
        const int64_t last_group = (c1 - 1) / (columns.group * columns.k);
        const int64_t wanted = diagonal ? (last_group * columns.group + columns.size(last_group)) * k_x : n_rows;
        const int64_t stop = smaller(r1, wanted);
        const int vectors = int((c1 - c0 + lanes<Word> - 1) / lanes<Word>);
        const TileProduct<Word> full = tile_kernel<Word>(tile_rows, vectors);
        // the next panel: one of this depth that is packed, or rows of y
        const bool last_panel = c1 == n_columns, last_block = r1 == n_rows;
        const int64_t next_k0 = last_panel && last_block ? k0 + most : k0, next_c0 = last_panel ? 0 : c1;
        const bool next_packed = last_panel ? !last_block : r0 > 0;
        const int64_t pieces = smaller<int64_t>(tile_rows, panel * tile_rows / larger<int64_t>(stop - r0, 1) + 1);
        int64_t next = next_c0;
        const int64_t next_c1 = next_k0 < length ? smaller(next_c0 + panel, n_columns) : next;
        for (int64_t row = r0; row < stop; row += tile_rows) {
          const int rows = int(smaller<int64_t>(tile_rows, stop - row));
          Ahead ahead;
          if (row >= packed) {
            packed = smaller(row + tile_rows, r1);
            pack_rows(x + row * length, length, packed - row, k0, count, packed_rows + (row - r0) * depth<Word>);
            if constexpr (std::is_same_v<Word, FixedPair>) {
              for (int64_t i = row; i < packed; ++i) scratch.squares_x[i] += sum_of_squares(x + i * length + k0, count);
            }
            for (int64_t i = packed; i < smaller(packed + tile_rows, r1); ++i) ahead.add(x + i * length + k0);
          }
          for (int64_t end = smaller(next + pieces, next_c1); next < end; ++next) {
            if (next_packed) {
              ahead.add(packed_columns + next * depth<Word>);
            } else {
              ahead.add(y + scratch.source[next] * length + next_k0);
            }
          }
          const TileProduct<Word> product = rows == tile_rows ? full : tile_kernel<Word>(rows, vectors);
          product(packed_rows + (row - r0) * depth<Word>, packed_columns + c0 * depth<Word>, C + row * scratch.ld + c0, scratch.ld,
                  words<Word>(count), k0 > 0, ahead);
        }
      }
    }
  }
}

// The same in fixed point. False when a direction is too long for it or not finite: the products then mean nothing.
template <class Src>
bool fixed_gram(const Src* x, const Src* y, int64_t length, int64_t n_rows, int64_t k_x, const Columns& columns, bool diagonal,
                const TileScratch<float>& scratch, float* gram) {
  const int64_t n_columns = columns.adapters * columns.k;
  for (int64_t i = 0; i < n_rows; ++i) scratch.squares_x[i] = 0;
  for (int64_t c = 0; c < n_columns; ++c) scratch.squares_y[c] = 0;
  tile_gram<FixedPair>(x, y, length, n_rows, k_x, columns, diagonal, scratch, gram);
  bool fits = true;
  for (int64_t i = 0; i < n_rows; ++i) fits &= scratch.squares_x[i] <= fixed_norm * fixed_norm;
  for (int64_t c = 0; c < n_columns; ++c) fits &= scratch.squares_y[c] <= fixed_norm * fixed_norm;
  for (int64_t i = 0; fits && i < n_rows; ++i) fixed_to_float(gram + i * scratch.ld, n_columns);
  return fits;
}

// One side of the pairs of a vector, as the metrics and the solver want it.
template <class T>
struct Side {
  const Vec<T>* s;  // [k]
  int64_t k;
  Vec<T> sum, norm, live;
  double exact_norm[lanes<T>];
  int64_t seed[lanes<T>];

  // Lane `lane` is adapter `index` of the batch.
  void set(int lane, const Adapters& adapters, const SpectrumStats& stats, int64_t index) {
    sum[lane] = T(stats.sum[index]), norm[lane] = T(stats.norm[index]), live[lane] = T(stats.live[index]);
    exact_norm[lane] = stats.norm[index];
    seed[lane] = adapters.seed == nullptr ? 0 : adapters.seed[index];
  }
};

// S₂ and the metrics of source→target for every λ: value(lam, name, vector) for each metric that `out` asks for, and
// spectra(lam, S₂).
template <class T, class Value, class Spectra>
inline void reduce(const PairwiseArgs& args, const Side<T>& source, const Side<T>& target, const Vec<T>* d, const TileScratch<T>& scratch,
                   Vec<T> cross_u, Vec<T> cross_v, const PairwiseOutputs& out, Value&& value, Spectra&& spectra) {
  const T p = T(args.p), size = T(args.m) * T(args.n);
  Vec<T>* const s2 = scratch.projected;
  Vec<T> inner{};
  for (int64_t i = 0; i < source.k; ++i) inner += source.s[i] * d[i];
  for (int64_t l = 0; l < args.lams; ++l) {
    if (args.lam[l] == 0 && args.solver.method == Method::exact) {
      for (int64_t i = 0; i < source.k; ++i) s2[i] = clip<T>(d[i]);
    } else {
      Pairs<T> pairs{source.k, d, {}, {}, {}};
      for (int lane = 0; lane < lanes<T>; ++lane) {
        pairs.tau_norm[lane] = target.exact_norm[lane], pairs.lam[lane] = args.lam[l];
        pairs.seed[lane] = pair_seed(source.seed[lane], target.seed[lane]);
      }
      solve<T>(pairs, args.solver, scratch.solver, s2, nullptr);
    }
    Vec<T> sum2{};
    for (int64_t i = 0; i < source.k; ++i) sum2 += s2[i];
    const Compared<T> c{source.k,    source.s,    s2,    d,       source.sum, sum2, source.norm, target.norm,
                        source.live, target.live, inner, cross_u, cross_v,    p,    size};
    for (int i = 0; i < out.metrics.count; ++i) value(l, i, metric(out.metrics.list[i].metric, c));
    spectra(l, s2);
  }
}

// to[at(lane)] = the k values of each lane in [first, last).
template <class T, class At>
inline void store_spectra(void* to, const Vec<T>* values, int64_t k, int first, int last, At&& at) {
  if (to == nullptr) return;
  for (int lane = first; lane < last; ++lane) {
    for (int64_t i = 0; i < k; ++i) static_cast<T*>(to)[at(lane) * k + i] = values[i][lane];
  }
}

// d of both directions for one x and a vector of y: d_xy = P S_y, d_yx = Pᵀ S_x with P = (UᵀU) ∘ (VᵀV).
template <class T, bool Overlaps>
inline void project_block(const T* gram_u, const T* gram_v, int64_t ld, int64_t step, int64_t k_x, int64_t k_y, const Vec<T>* s_x,
                          const Vec<T>* s_y, Vec<T>* forward, Vec<T>* backward, Vec<T>& cross_u, Vec<T>& cross_v) {
  for (int64_t l = 0; l < k_y; ++l) backward[l] = Vec<T>{};
  for (int64_t k = 0; k < k_x; ++k) {
    Vec<T> sum{};
    for (int64_t l = 0; l < k_y; ++l) {
      const int64_t at = k * ld + l * step;
      const Vec<T> u = load(gram_u + at), v = load(gram_v + at), p = u * v;
      __builtin_prefetch(gram_u + at + k_x * ld);  // the next x, a row too far for the hardware to guess
      __builtin_prefetch(gram_v + at + k_x * ld);
      sum += p * s_y[l];
      backward[l] += p * s_x[k];
      if constexpr (Overlaps) {
        cross_u += u * u;
        cross_v += v * v;
      }
    }
    forward[k] = sum;
  }
}

template <class T>
void tile_epilogue(const PairwiseArgs& args, const SpectrumStats& stats_x, const SpectrumStats& stats_y, const Tile& tile,
                   const Columns& columns, const TileScratch<T>& scratch) {
  const int64_t n_x = args.x.count, n_y = args.y.count, k_x = args.x.k, k_y = args.y.k;
  const int64_t x0 = tile.module * n_x, y0 = tile.module * n_y, place = tile.module * n_x * n_y, pairs = args.batch * n_x * n_y;
  const PairwiseOutputs& backward_out = args.symmetric ? args.forward : args.backward;
  const bool overlaps = any_uses(MetricInputs::subspaces, args.forward.metrics) || any_uses(MetricInputs::subspaces, backward_out.metrics);
  const Vec<T> one = broadcast(T(1));
  Side<T> x{scratch.s_x, k_x, one, one, one, {}, {}}, y{scratch.s_y, k_y, one, one, one, {}, {}};
  for (int64_t g = 0; g < columns.groups(); ++g) {
    for (int64_t first = 0; first < columns.size(g); first += lanes<T>) {
      const int64_t j0 = tile.j0 + g * columns.group + first;
      const int count = int(smaller<int64_t>(lanes<T>, columns.size(g) - first));
      for (int lane = 0; lane < lanes<T>; ++lane) {
        const int64_t index = y0 + j0 + smaller(lane, count - 1);  // the last one again, where there are no more
        for (int64_t l = 0; l < k_y; ++l) scratch.s_y[l][lane] = static_cast<const T*>(args.y.s)[index * k_y + l];
        y.set(lane, args.y, stats_y, index);
      }
      const int64_t stop = tile.diagonal ? smaller(tile.i1, j0 + count) : tile.i1;
      // an adapter with itself has one direction, and below the diagonal nothing is wanted
      auto limit = [&](int lane) { return tile.diagonal ? smaller(stop, j0 + lane) : stop; };
      auto flush = [&] {
        for (int64_t l = 0; l < args.lams; ++l) scratch.backlog[l].flush(backward_out, l * pairs + place, j0, count, n_x, limit);
      };
      for (int64_t l = 0; l < args.lams; ++l) scratch.backlog[l].first_i = tile.i0, scratch.backlog[l].count = 0;
      for (int64_t i = tile.i0; i < stop; ++i) {
        for (int64_t k = 0; k < k_x; ++k) scratch.s_x[k] = broadcast(static_cast<const T*>(args.x.s)[(x0 + i) * k_x + k]);
        for (int lane = 0; lane < lanes<T>; ++lane) x.set(lane, args.x, stats_x, x0 + i);
        const int64_t at = (i - tile.i0) * k_x * scratch.ld + columns.offset(g) + first;
        Vec<T> cross_u{}, cross_v{};
        (overlaps ? project_block<T, true> : project_block<T, false>)(scratch.gram_u + at, scratch.gram_v + at, scratch.ld, columns.size(g),
                                                                      k_x, k_y, scratch.s_x, scratch.s_y, scratch.forward, scratch.backward,
                                                                      cross_u, cross_v);
        const int from = tile.diagonal && i > j0 ? int(i - j0) : 0;
        const int64_t to = place + i * n_y + j0;
        auto at_forward = [&](int lane) { return to + lane; };
        store_spectra<T>(args.forward.d, scratch.forward, k_x, from, count, at_forward);
        reduce<T>(
            args, x, y, scratch.forward, scratch, cross_u, cross_v, args.forward,
            [&](int64_t l, int name, Vec<T> value) {
              T* row = static_cast<T*>(args.forward.metrics.list[name].values) + l * pairs + to;
              if (from == 0 && count == lanes<T>) return store(row, value);
              for (int lane = from; lane < count; ++lane) row[lane] = value[lane];
            },
            [&](int64_t l, const Vec<T>* s2) {
              store_spectra<T>(args.forward.spectra, s2, k_x, from, count, [&](int lane) { return l * pairs + at_forward(lane); });
            });
        const int after = from + (tile.diagonal && i == j0 + from);
        auto at_backward = [&](int lane) { return place + (j0 + lane) * n_x + i; };
        store_spectra<T>(backward_out.d, scratch.backward, k_y, after, count, at_backward);
        reduce<T>(
            args, y, x, scratch.backward, scratch, cross_u, cross_v, backward_out,
            [&](int64_t l, int name, Vec<T> value) {
              Backlog<T>& backlog = scratch.backlog[l];
              store(backlog.values + (name * lanes<T> + backlog.count) * lanes<T>, value);
            },
            [&](int64_t l, const Vec<T>* s2) {
              store_spectra<T>(backward_out.spectra, s2, k_y, after, count, [&](int lane) { return l * pairs + at_backward(lane); });
            });
        for (int64_t l = 0; l < args.lams; ++l) ++scratch.backlog[l].count;
        if (scratch.backlog[0].count == Backlog<T>::most) flush();
      }
      flush();
    }
  }
}

// Narrow groups on the diagonal waste less below it, and more lanes: of long spectra the products are what costs.
template <class T>
int64_t group_size(const Tile& tile, int64_t k) {
  const int64_t widest = smaller(8, lanes<T>), adapters = tile.j1 - tile.j0;
  if (!tile.diagonal) return lanes<T>;
  return k < 32 ? widest : larger<int64_t>(1, smaller(widest, adapters / 8));
}

// What small_gram leaves out and the lanes of an epilogue nevertheless read.
template <class T>
void clear_below_diagonal(int64_t n_rows, int64_t k_x, const Columns& columns, T* gram, int64_t ld) {
  for (int64_t j = 0; j < columns.adapters; ++j) {
    const Place place = columns.place(j);
    const int64_t group = j / columns.group, stop = smaller(n_rows, (group * columns.group + columns.size(group)) * k_x);
    for (int64_t row = (j + 1) * k_x; row < stop; ++row) {
      for (int64_t l = 0; l < columns.k; ++l) gram[row * ld + place.first + l * place.step] = T(0);
    }
  }
}

template <class T, class Src>
void pair_tile(const PairwiseArgs& args, const SpectrumStats& stats_x, const SpectrumStats& stats_y, const Tile& tile, void* memory) {
  const Columns columns{tile.j1 - tile.j0, args.y.k, group_size<T>(tile, args.y.k)};
  TileScratch<T> scratch;
  char* base = static_cast<char*>(memory);
  scratch.layout(base + (64 - reinterpret_cast<std::uintptr_t>(base) % 64) % 64, args, tile.i1 - tile.i0, columns.adapters);
  for (int64_t c = 0; c < columns.adapters * columns.k; ++c) scratch.source[c] = columns.source(c);
  auto gram = [&](const void* u, const void* v, int64_t length, T* to) {
    const Src* x = static_cast<const Src*>(u) + (tile.module * args.x.count + tile.i0) * args.x.k * length;
    const Src* y = static_cast<const Src*>(v) + (tile.module * args.y.count + tile.j0) * args.y.k * length;
    const int64_t n_rows = (tile.i1 - tile.i0) * args.x.k;
    bool fixed = false;
    if constexpr (fixed_compiled && std::is_same_v<T, float>)
      fixed = args.precision == Precision::medium && length <= fixed_length && fixed_runnable();
    if (few_directions(args, fixed)) {
      if (tile.diagonal) clear_below_diagonal(n_rows, args.x.k, columns, to, scratch.ld);
      return small_gram(
          x, n_rows, args.x.k, y, columns.adapters, columns.k, length, tile.diagonal, [&](int64_t j) { return columns.place(j); },
          scratch.rows, row_block * depth<T> / dot_depth, scratch.columns, to, scratch.ld);
    }
    if constexpr (fixed_compiled && std::is_same_v<T, float>) {
      if (fixed && fixed_gram(x, y, length, n_rows, args.x.k, columns, tile.diagonal, scratch, to)) return;
    }
    tile_gram<T>(x, y, length, n_rows, args.x.k, columns, tile.diagonal, scratch, to);
  };
  gram(args.x.u_t, args.y.u_t, args.m, scratch.gram_u);
  gram(args.x.vh, args.y.vh, args.n, scratch.gram_v);
  tile_epilogue(args, stats_x, stats_y, tile, columns, scratch);
}

void pair_tile_entry(const PairwiseArgs& args, const SpectrumStats& x, const SpectrumStats& y, const Tile& tile, void* scratch) {
  with_storage(args.dtype, [&](const auto* null) {
    using Src = std::remove_cv_t<std::remove_reference_t<decltype(*null)>>;
    using T = std::conditional_t<std::is_same_v<Src, double>, double, float>;
    pair_tile<T, Src>(args, x, y, tile, scratch);
  });
}

int64_t tile_scratch_entry(const PairwiseArgs& args, int64_t row_adapters, int64_t column_adapters) {
  if (args.dtype == DType::f64) return TileScratch<double>{}.layout(nullptr, args, row_adapters, column_adapters);
  return TileScratch<float>{}.layout(nullptr, args, row_adapters, column_adapters);
}

}  // namespace taskvec::TASKVEC_LEVEL
