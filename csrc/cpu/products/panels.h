// Products in the type of the results by packed panels: the way of every block that is not small. Part of one SIMD
// level, see vec.h.
#pragma once

#include "cpu/products/panel_gram.h"
#include "taskvec/pairwise.h"

namespace taskvec::TASKVEC_LEVEL {

template <class T>
struct PanelProducts : PackedPanels<Numbers<T>> {
  static bool usable(const PairwiseArgs&, int64_t) { return true; }

  // Rows [first, last) of x to dst[row][depth].
  template <class Src>
  static void pack_x(const GramBlock<Src>& block, const Packing<T>&, int64_t first, int64_t last, Span span, T* dst) {
    pack_rows<Numbers<T>>(block.x + first * block.length, block.length, last - first, span, dst);
  }

  // Columns [first, last), whole panels or the last one, to dst[panel][depth][columns].
  template <class Src>
  static void pack_y(const GramBlock<Src>& block, const Packing<T>& packing, int64_t first, int64_t last, Span span,
                     T* dst) {
    pack_columns<Numbers<T>>(block.y, block.length, packing.source + first, last - first, span, dst);
  }

  template <class Src>
  static void gram(const GramBlock<Src>& block, const Packing<T>& packing, T* gram) {
    PanelGram<PanelProducts, T, Src>(block, packing, gram).multiply();
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
