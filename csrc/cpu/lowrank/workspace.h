// Sizes and working memory of lowrank_svd. Part of one SIMD level, see vec.h.
#pragma once

#include <new>

#include "cpu/lowrank/core_svd.h"
#include "taskvec/lowrank_svd.h"

namespace taskvec::TASKVEC_LEVEL {

constexpr int64_t panel_doubles = 16384;  // 128 KiB

struct LowRankShape {
  // panel: positions read at once, in rows `width` apart; columns: of the outputs, k = min(r, m, n)
  int64_t r, ld, panel, width, columns;

  explicit LowRankShape(const LowRankSVDArgs& args)
      : r(args.r),
        ld(round_up(args.r, larger(lanes_f64, 8))),
        panel(larger<int64_t>(32, smaller<int64_t>(256, panel_doubles / ld / 32 * 32))),
        width(panel + 8),  // rows a multiple of 4 KiB apart would share their cache sets
        columns(smaller(args.r, smaller(args.b.length, args.a.length))) {}
};

// Directions of a factor by rows, in memory that only the Householder route asks for.
class TallMatrix {
 public:
  TallMatrix() = default;
  TallMatrix(const TallMatrix&) = delete;
  TallMatrix& operator=(const TallMatrix&) = delete;
  ~TallMatrix() { ::operator delete(data_, alignment); }

  // As ColumnMatrix with room for whole panels. Throws std::bad_alloc.
  ColumnMatrix make(int64_t r, int64_t length) {
    const int64_t padded = round_up(length, lanes_f64), ld = round_up(length, 8) + 8;  // see LowRankShape::width
    data_ = static_cast<double*>(::operator new(std::size_t(round_up(r, 4) * ld) * sizeof(double), alignment));
    return {data_, r, padded, ld};
  }

 private:
  static constexpr std::align_val_t alignment{64};
  double* data_ = nullptr;
};

// A factor F, r directions of `length` positions, as F = Q · R with Q orthonormal: Q = F · T, or by the Householder
// route `tall` · T, where it is stored.
struct Orthonormal {
  double *T, *R;        // [r, ld]: T[direction][column of Q], R[column of Q][direction]
  ColumnMatrix tall{};  // null data when there is none
  TallMatrix memory;
};

struct LowRankScratch {
  double *panel, *q_panel, *gram, *chol, *inverse, *product, *scale, *sigma, *work;
  Orthonormal b, a;

  int64_t layout(char* base, const LowRankShape& shape) {
    int64_t used = 0;
    auto take = [&](double*& pointer, int64_t count) {
      pointer = reinterpret_cast<double*>(base + used);
      used = round_up(used + count * int64_t(sizeof(double)), 64);
    };
    const int64_t square = shape.ld * shape.ld;
    take(panel, shape.ld * shape.width);
    take(q_panel, shape.ld * shape.width);
    for (double** matrix : {&gram, &chol, &inverse, &product, &b.T, &b.R, &a.T, &a.R}) take(*matrix, square);
    take(scale, shape.ld);
    take(sigma, shape.ld);
    take(work, svd_work(shape.r, shape.ld));
    return used;
  }
};

}  // namespace taskvec::TASKVEC_LEVEL
