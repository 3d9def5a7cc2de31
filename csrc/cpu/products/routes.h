// Which product a call takes. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/pairwise/plan.h"
#include "cpu/products/dots.h"
#include "cpu/products/fixed.h"
#include "cpu/products/panels.h"

namespace taskvec::TASKVEC_LEVEL {

// The first that is usable.
template <class T>
inline Route route_of(const PairwiseArgs& args, int64_t length) {
  if (DotProducts<T>::usable(args, length)) return Route::dots;
  if (FixedProducts<T>::usable(args, length)) return Route::fixed;
  return Route::panels;
}

template <class T, class Src>
inline void multiply(Route route, const GramBlock<Src>& block, const Packing<T>& packing, T* gram) {
  switch (route) {
    case Route::dots:
      return DotProducts<T>::gram(block, packing, gram);
    case Route::fixed:
      return FixedProducts<T>::gram(block, packing, gram);
    case Route::panels:
      return PanelProducts<T>::gram(block, packing, gram);
  }
}

inline Routes routes_entry(const PairwiseArgs& args) {
  if (args.dtype == DType::f64) return {route_of<double>(args, args.m), route_of<double>(args, args.n)};
  return {route_of<float>(args, args.m), route_of<float>(args, args.n)};
}

}  // namespace taskvec::TASKVEC_LEVEL
