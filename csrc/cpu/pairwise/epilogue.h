// From the Gram blocks to the results: both directions of every pair of a block, a vector of y's adapters at a time.
// Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/metrics/metrics.h"
#include "cpu/pairwise/plan.h"
#include "cpu/pairwise/project_pairs.h"
#include "cpu/pairwise/scratch.h"
#include "cpu/pairwise/sign_chance.h"
#include "cpu/pairwise/writers.h"
#include "cpu/sparsify/sparsify-inl.h"

namespace taskvec::TASKVEC_LEVEL {

// One side of a vector of pairs, as the metrics and the solver want it.
template <class T>
struct SpectrumSide {
  Vec<T>*s, *unit, *share;  // [k]; S / ‖τ‖ and S / ΣS
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
  void set_units() {
    for (int64_t l = 0; l < k; ++l) unit[l] = s[l] / norm;
  }
  void set_shares() {
    for (int64_t l = 0; l < k; ++l) share[l] = s[l] / sum;
  }
};

// One direction of a vector of pairs.
template <class T>
struct Projection {
  const SpectrumSide<T>&source, &target;
  const Vec<T>* d;  // [k of the source]
  const Overlaps<T>& overlaps;
  DirectedGrams<T> grams;
  const SignPatterns* signs;  // of the source's directions
};

// What the metrics of one direction use besides spectra and d.
struct Wanted {
  bool overlaps, side, block, signs;

  explicit Wanted(const MetricOutputs& metrics)
      : overlaps(any_uses(MetricInputs::subspaces, metrics)),
        side(any_uses(MetricInputs::side, metrics)),
        block(any_uses(MetricInputs::block, metrics)),
        signs(any_uses(MetricInputs::signs, metrics)) {}
  bool captures() const { return side || block; }
};

template <class T>
class Epilogue {
 public:
  Epilogue(const PairwisePlan& plan, const AdapterBlock& block, const Columns& columns, const BlockScratch<T>& scratch)
      : args_(plan.args),
        plan_(plan),
        block_(block),
        columns_(columns),
        scratch_(scratch),
        x_{scratch.s_x,
           scratch.unit_x,
           scratch.share_x,
           args_.x.k,
           broadcast(T(1)),
           broadcast(T(1)),
           broadcast(T(1)),
           {},
           {}},
        y_{scratch.s_y,
           scratch.unit_y,
           scratch.share_y,
           args_.y.k,
           broadcast(T(1)),
           broadcast(T(1)),
           broadcast(T(1)),
           {},
           {}},
        forward_(args_.forward.metrics),
        backward_(backward().metrics) {}

  // Every pair of the block.
  void reduce() {
    for (int64_t g = 0; g < columns_.groups(); ++g) {
      for (int64_t first = 0; first < columns_.size(g); first += lanes<T>) reduce(g, first);
    }
  }

 private:
  const PairwiseOutputs& backward() const { return args_.symmetric ? args_.forward : args_.backward; }

  // Every x_i of the block with the adapters of group g from `first` on, one a lane.
  void reduce(int64_t g, int64_t first) {
    const int64_t j0 = block_.j0 + g * columns_.group + first, n_x = args_.x.count, n_y = args_.y.count;
    const int count = int(smaller<int64_t>(lanes<T>, columns_.size(g) - first));
    const int64_t pairs = args_.batch * n_x * n_y, place = block_.module * n_x * n_y;
    load_y(j0, count);
    RowWriter<T> row{args_.forward, pairs, 0, 0, count};
    ColumnWriter<T> column{backward(),      pairs, place + j0 * n_x, n_x,      count,
                           block_.diagonal, j0,    scratch_.backlog, block_.i0};
    const int64_t stop = block_.diagonal ? smaller(block_.i1, j0 + count) : block_.i1;
    for (int64_t i = block_.i0; i < stop; ++i) {
      load_x(i);
      const int64_t at = (i - block_.i0) * args_.x.k * scratch_.ld + columns_.offset(g) + first;
      const T *const u = scratch_.gram_u + at, *const v = scratch_.gram_v + at;
      const int64_t ld = scratch_.ld, step = columns_.size(g);
      const Overlaps<T> overlaps = project({u, v, ld, step});
      // nothing is wanted below the diagonal, and an adapter with itself has one direction
      row.from = block_.diagonal && i > j0 ? int(i - j0) : 0;
      row.place = place + i * n_y + j0;
      column.from = row.from + (block_.diagonal && i == j0 + row.from);
      write({x_, y_, scratch_.forward, overlaps, {u, v, ld, step}, plan_.signs_x}, forward_, row);
      write({y_, x_, scratch_.backward, overlaps, {u, v, step, ld}, plan_.signs_y}, backward_, column);
      column.next(args_.lams);
    }
    column.flush(args_.lams);
  }

  void load_y(int64_t j0, int count) {
    for (int lane = 0; lane < lanes<T>; ++lane) {
      const int64_t j =
          block_.module * args_.y.count + j0 + smaller(lane, count - 1);  // the last one again, where there are no more
      for (int64_t l = 0; l < y_.k; ++l) y_.s[l][lane] = static_cast<const T*>(args_.y.s)[j * y_.k + l];
      y_.set(lane, args_.y, plan_.y, j);
    }
    if (forward_.captures()) y_.set_units();
    if (backward_.signs) y_.set_shares();
  }

  void load_x(int64_t i) {
    const int64_t index = block_.module * args_.x.count + i;
    for (int64_t k = 0; k < x_.k; ++k) x_.s[k] = broadcast(static_cast<const T*>(args_.x.s)[index * x_.k + k]);
    for (int lane = 0; lane < lanes<T>; ++lane) x_.set(lane, args_.x, plan_.x, index);
    if (backward_.captures()) x_.set_units();
    if (forward_.signs) x_.set_shares();
  }

  Overlaps<T> project(const PairGrams<T>& grams) const {
    Overlaps<T> found;
    (forward_.overlaps || backward_.overlaps
         ? project_block<T, true>
         : project_block<T, false>)(grams, x_.k, y_.k, x_.s, y_.s, scratch_.forward, scratch_.backward, found);
    return found;
  }

  // d, then S₂ and the metrics for every λ.
  template <class Writer>
  void write(const Projection<T>& given, const Wanted& wanted, Writer& writer) const {
    const SpectrumSide<T>&source = given.source, &target = given.target;
    Vec<T>* const s2 = scratch_.projected;
    writer.d(given.d, source.k);
    Vec<T> inner{};
    for (int64_t i = 0; i < source.k; ++i) inner += source.s[i] * given.d[i];
    const Captured<T> held = capture(given, wanted);
    const Vec<T> none = broadcast(T(__builtin_nan("")));
    SignChance<T> chance;
    if (wanted.signs) {
      chance = sign_chance<T>(given.signs, source.s, source.share, source.sum, given.d, source.k, scratch_.part);
    }
    for (int64_t l = 0; l < args_.lams; ++l) {
      solve(given, args_.lam[l], s2);
      Vec<T> sum2{};
      for (int64_t i = 0; i < source.k; ++i) sum2 += s2[i];
      const Compared<T> c{source.k,
                          source.s,
                          s2,
                          given.d,
                          source.sum,
                          sum2,
                          source.norm,
                          target.norm,
                          source.live,
                          target.live,
                          inner,
                          given.overlaps.u,
                          given.overlaps.v,
                          held.block,
                          held.out,
                          held.in,
                          closed(args_.lam[l]) ? chance.mean : none,
                          closed(args_.lam[l]) ? chance.sd : none,
                          T(args_.p),
                          T(args_.m) * T(args_.n)};
      for (int i = 0; i < writer.out.metrics.count; ++i)
        writer.metric(l, i, metric(writer.out.metrics.list[i].metric, c));
      writer.spectra(l, s2, source.k);
    }
  }

  Captured<T> capture(const Projection<T>& given, const Wanted& wanted) const {
    const SpectrumSide<T>&source = given.source, &target = given.target;
    const DirectedGrams<T>& grams = given.grams;
    Captured<T> held;
    if (wanted.block) {
      held.block = captured_block(grams, source.k, target.k, target.unit, scratch_.strip);
    }
    if (wanted.side) {
      held.out = captured_side(grams.u, grams, source.k, target.k, target.unit);
      held.in = captured_side(grams.v, grams, source.k, target.k, target.unit);
    }
    return held;
  }

  // S₂ is max(0, d).
  bool closed(double lam) const { return lam == 0 && args_.solver.method == Method::exact; }

  void solve(const Projection<T>& given, double lam, Vec<T>* s2) const {
    const int64_t k = given.source.k;
    if (closed(lam)) {
      for (int64_t i = 0; i < k; ++i) s2[i] = clip<T>(given.d[i]);
      return;
    }
    Pairs<T> pairs{k, given.d, {}, {}, {}};
    for (int lane = 0; lane < lanes<T>; ++lane) {
      pairs.tau_norm[lane] = given.target.exact_norm[lane], pairs.lam[lane] = lam;
      pairs.seed[lane] = pair_seed(given.source.seed[lane], given.target.seed[lane]);
    }
    TASKVEC_LEVEL::solve<T>(pairs, args_.solver, scratch_.solver, s2, nullptr);
  }

  const PairwiseArgs& args_;
  const PairwisePlan& plan_;
  const AdapterBlock& block_;
  const Columns& columns_;
  const BlockScratch<T>& scratch_;
  SpectrumSide<T> x_, y_;
  Wanted forward_, backward_;
};

}  // namespace taskvec::TASKVEC_LEVEL
