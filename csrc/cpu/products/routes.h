// Which product a call takes. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/pairwise/plan.h"
#include "cpu/products/amx.h"
#include "cpu/products/dots.h"
#include "cpu/products/fixed.h"
#include "cpu/products/panels.h"

namespace taskvec::TASKVEC_LEVEL {

// The first that is usable.
template <class T>
inline Route route_of(const PairwiseArgs& args, int64_t length) {
  if (SliceProducts<T, 3>::usable(args, length)) return Route::three_slices;
  if (SliceProducts<T, 2>::usable(args, length)) return Route::two_slices;
  if (DotProducts<T>::usable(args, length)) return Route::dots;
  if (FixedProducts<T>::usable(args, length)) return Route::fixed;
  return Route::panels;
}

template <class T>
inline Routes routes_of(const PairwiseArgs& args) {
  return {route_of<T>(args, args.m), route_of<T>(args, args.n)};
}

inline Routes routes_entry(const PairwiseArgs& args) {
  return args.dtype == DType::f64 ? routes_of<double>(args) : routes_of<float>(args);
}

// Bytes of Packing::slices for blocks of so many directions of x.
template <class T>
inline int64_t slice_bytes(const PairwiseArgs& args, int64_t rows) {
  const Routes routes = routes_of<T>(args);
  auto bytes = [&](Route route) {
    if (route == Route::three_slices) return SliceProducts<T, 3>::bytes(rows);
    return route == Route::two_slices ? SliceProducts<T, 2>::bytes(rows) : 0;
  };
  return larger(bytes(routes.u), bytes(routes.v));
}

template <class T, class Src>
inline void multiply(Route route, const GramBlock<Src>& block, const Packing<T>& packing, T* gram) {
  switch (route) {
    case Route::dots:
      return DotProducts<T>::gram(block, packing, gram);
    case Route::fixed:
      return FixedProducts<T>::gram(block, packing, gram);
    case Route::three_slices:
      return SliceProducts<T, 3>::gram(block, packing, gram);
    case Route::two_slices:
      return SliceProducts<T, 2>::gram(block, packing, gram);
    case Route::panels:
      return PanelProducts<T>::gram(block, packing, gram);
  }
}

}  // namespace taskvec::TASKVEC_LEVEL
