// The working memory of a worker. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/pairwise/capture.h"
#include "cpu/products/routes.h"
#include "taskvec/pairwise.h"

namespace taskvec::TASKVEC_LEVEL {

template <class T>
struct BlockScratch {
  T *gram_u, *gram_v;  // [rows][ld], blocks of UᵀU and VᵀV
  int64_t ld;
  Packing<T> packing;
  Vec<T>*s_x, *s_y;           // [k], spectra of a vector of pairs
  Vec<T>*unit_x, *unit_y;     // [k], S / ‖τ‖
  Vec<T>*share_x, *share_y;   // [k], S / ΣS
  Vec<T>* part;               // [k], |d| / Σ|d|
  Vec<T>* strip;              // see capture.h
  Vec<T>*forward, *backward;  // [k_x], [k_y]: their d
  Vec<T>*projected, *solver;  // S₂, and what finds it
  T* backlog;                 // see ColumnWriter

  // Lays the parts out from `base`; the returned size counts from a null base.
  int64_t layout(char* base, const PairwiseArgs& args, int64_t row_adapters, int64_t column_adapters) {
    int64_t used = 0;
    auto take = [&](auto*& pointer, int64_t count) {
      pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(base + used);
      used = round_up(used + count * int64_t(sizeof(*pointer)), 64);
    };
    const int64_t n_rows = row_adapters * args.x.k, n_columns = column_adapters * args.y.k;
    const int64_t most_k = larger(args.x.k, args.y.k);
    // an odd number of cache lines keeps the rows of C in different cache sets; the slack is read past a row's end
    ld = round_up(n_columns + lanes<T>, panel_columns<T>) + 64 / int64_t(sizeof(T));
    take(gram_u, n_rows * ld);
    take(gram_v, n_rows * ld);
    take(packing.rows, packed_rows * panel_depth<T>);
    take(packing.columns, larger(round_up(n_columns, panel_columns<T>) * panel_depth<T>, dot_columns * dot_depth));
    take(packing.source, n_columns);
    take(packing.of_rows, round_up(n_rows, 16));
    take(packing.of_columns, round_up(n_columns, 16));
    take(packing.slices, slice_bytes<T>(args, n_rows));
    take(s_x, args.x.k);
    take(s_y, args.y.k);
    take(unit_x, args.x.k);
    take(unit_y, args.y.k);
    take(share_x, args.x.k);
    take(share_y, args.y.k);
    take(part, most_k);
    take(strip, strip_rows * most_k);
    take(forward, args.x.k);
    take(backward, args.y.k);
    take(projected, most_k);
    take(solver, 5 * most_k);
    take(backlog, args.lams * (args.symmetric ? args.forward : args.backward).metrics.count * lanes<T> * lanes<T>);
    return used + 64;  // to align the base
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
