// d = diag(Uᴴ τ V) of one target from its factors. Part of one SIMD level, see vec.h.
#pragma once

#include "cpu/project/operands.h"

namespace taskvec::TASKVEC_LEVEL {

inline int64_t project_scratch(const ProjectArgs& args) {
  return int64_t(sizeof(double)) * ((args.k + dot_columns) * dot_depth + 2 * args.k * padded_columns(args.r));
}

// Whether y's directions lie side by side in whole vectors or halves, as those of a row-major B do: they are multiplied
// there.
template <class T>
inline bool by_position(const Operand& y, int64_t r) {
  return y.dtype == stored<T> && y.factor.direction_stride == 1 && r % outer_columns<T> == 0;
}

// gram[k][padded r] = x_k · y_r, over runs of dot_depth positions.
template <class T>
void cross_gram(const Operand& x, int64_t k, const Operand& y, int64_t r, int64_t index, T* packed, T* gram) {
  const int64_t ld = padded_columns(r);
  T* const packed_y = packed + k * dot_depth;
  for (int64_t at = 0; at < k * ld; ++at) gram[at] = T(0);
  for (int64_t p0 = 0; p0 < x.factor.length; p0 += dot_depth) {
    const int64_t positions = smaller(dot_depth, x.factor.length - p0);
    const Rows<T> left = rows_of(x, index, 0, k, p0, positions, packed, dot_depth);
    if (by_position<T>(y, r)) {
      const Factor& f = y.factor;
      const Rows<T> right{static_cast<const T*>(f.data) + index * f.batch_stride + p0 * f.position_stride,
                          f.position_stride};
      outer_products(left, k, right, r, positions, gram, ld);
      continue;
    }
    for (int64_t r0 = 0; r0 < r; r0 += dot_columns) {
      const int64_t columns = smaller<int64_t>(dot_columns, r - r0);
      const bool whole = columns == dot_columns || columns == dot_columns / 2;
      const Rows<T> right = whole ? rows_of(y, index, r0, columns, p0, positions, packed_y, dot_depth)
                                  : pack_block(y, index, r0, columns, p0, positions, packed_y);
      auto add = [&](int64_t i, auto sums) {
        T* const to = gram + i * ld + r0;
        auto so_far = sums;
        std::memcpy(&so_far, to, sizeof so_far);
        so_far += sums;
        std::memcpy(to, &so_far, sizeof so_far);
      };
      (r0 == 0 ? dots<T, true, decltype(add)&> : dots<T, false, decltype(add)&>)(left, k, right, columns,
                                                                                 round_up(positions, lanes<T>), add);
    }
  }
}

template <class T>
void project_one(const ProjectArgs& args, int64_t index, void* memory) {
  T* const packed = static_cast<T*>(memory);
  T* const left = packed + (args.k + dot_columns) * dot_depth;
  const int64_t ld = padded_columns(args.r);
  T* const right = left + args.k * ld;
  cross_gram(args.u, args.k, args.b, args.r, index, packed, left);
  cross_gram(args.vh, args.k, args.a, args.r, index, packed, right);
  for (int64_t i = 0; i < args.k; ++i) {
    double sum = 0;
    for (int64_t l = 0; l < args.r; ++l) sum += double(left[i * ld + l]) * double(right[i * ld + l]);
    const double d = sum * args.scale[index];
    static_cast<T*>(args.d)[index * args.k + i] = T(args.clip && d < 0 ? 0 : d);  // NaN stays
  }
}

void project_entry(const ProjectArgs& args, int64_t index, void* scratch) {
  args.f64 ? project_one<double>(args, index, scratch) : project_one<float>(args, index, scratch);
}

}  // namespace taskvec::TASKVEC_LEVEL
