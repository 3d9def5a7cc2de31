// Who does what in lowrank_svd on a GPU: sizes of blocks, and where the working memory of a matrix lies. Host and
// device.
#pragma once

#include "numerics/rules.h"
#include "taskvec/lowrank_svd.h"

namespace taskvec::TASKVEC_LEVEL {

constexpr int stream_threads = 128;           // of the kernels that read the factors: 4 warps
constexpr int team_threads = 512;             // at most, of those that work on r × r matrices
constexpr int64_t positions_per_block = 512;  // of the rotation
constexpr int64_t least_span = 1024, most_splits = 32;
constexpr int64_t workspace_limit = int64_t(192) << 20;  // as long as one matrix needs no more
constexpr int64_t tall_limit = int64_t(64) << 20;        // the same, of the Householder route
constexpr int64_t most_slots = 16;                       // matrices at a time on that route
constexpr int64_t most_blocks = int64_t(1) << 30;

// hidden: the Gram matrix does not show all directions of the factor, and reflectors take over
enum class State : int { again = 0, done = 1, not_finite = 2, hidden = 3 };

struct Plan {
  int64_t m, n, r, k;
  int bands;       // of 8 directions, in a tile of the Gram matrix: 1, 2 or 4
  int64_t padded;  // r rounded up to whole tiles
  int64_t ld;      // of r × r matrices in a team's memory: 8 modulo 16, so that rows of neighbours share no bank
  int64_t tiles;   // of the lower half of the Gram matrix, each a block's work
  int64_t splits[2],
      span[2];  // of the positions of B and A; they depend on nothing else, so neither do the bits of a result
  int threads;  // of a team
  int64_t matrix_bytes, chunk;  // working memory of a matrix, and matrices at a time
  int64_t tall_bytes, slots;    // both factors of a matrix in fp64, on the Householder route
  int in_shared;                // of a team's 3 matrices, how many fit into shared memory
  int64_t team_bytes;           // of shared memory

  Plan(const LowRankSVDArgs& args, int64_t shared_limit)
      : m(args.b.length),
        n(args.a.length),
        r(args.r),
        k(smaller(args.r, smaller(args.b.length, args.a.length))),
        bands(args.r <= 8    ? 1
              : args.r <= 16 ? 2
                             : 4),
        padded(round_up(args.r, 8 * bands)),
        ld(round_up(args.r + 8, 16) - 8) {
    const int64_t sides = padded / (8 * bands);
    tiles = sides * (sides + 1) / 2;
    for (int f = 0; f < 2; ++f) {
      const int64_t length = f == 0 ? m : n;
      span[f] = least_span * larger<int64_t>(1, ceil_div(length, least_span * most_splits));
      splits[f] = ceil_div(length, span[f]);
    }
    threads = 32;
    // 4 lanes a pair of rows where a warp then holds the matrix, else 8
    while (threads < team_threads && threads < (r <= 16 ? 2 : 4) * r) threads *= 2;
    const int64_t square = matrix_elements() * 8;
    in_shared = int(smaller<int64_t>(3, larger<int64_t>(0, shared_limit - vector_bytes()) / square));
    team_bytes = vector_bytes() + in_shared * square;
    matrix_bytes = 0;
    for (int f = 0; f < 2; ++f) matrix_bytes += (3 + splits[f]) * padded * padded * 8 + (3 - in_shared) * square;
    matrix_bytes += 64;  // state
    const int64_t blocks = larger(2 * tiles * larger(splits[0], splits[1]),
                                  ceil_div(m, positions_per_block) + ceil_div(n, positions_per_block));
    chunk = smaller(workspace_limit / matrix_bytes, most_blocks / blocks);
    chunk = larger<int64_t>(1, smaller(chunk, args.batch));
    tall_bytes = r * (m + n) * 8;
    slots = larger<int64_t>(1, smaller(smaller(tall_limit / tall_bytes, most_slots), chunk));
  }

  TASKVEC_HD int64_t matrix_elements() const { return r * ld; }
  TASKVEC_HD int64_t vector_bytes() const { return round_up(6 * ld * 8 + 2 * ld * 4, 16); }
  int64_t workspace_bytes() const { return chunk * matrix_bytes + slots * tall_bytes; }
  TASKVEC_HD int64_t length(int f) const { return f == 0 ? m : n; }
};

// One chunk of a call: matrices [first, first + count).
struct Work {
  LowRankSVDArgs args;
  Plan plan;
  char* workspace;
  int64_t first, count;

  TASKVEC_HD const Factor& factor(int f) const { return f == 0 ? args.b : args.a; }
  TASKVEC_HD State* state(int64_t matrix, int f) const { return reinterpret_cast<State*>(memory(matrix)) + f; }
  // T (F · T is orthonormal) and R (F = Q · R): [direction][column], [column][direction], `padded` apart
  TASKVEC_HD double* T(int64_t matrix, int f) const { return at(matrix, f, 0); }
  TASKVEC_HD double* R(int64_t matrix, int f) const { return at(matrix, f, 1); }
  // what F is multiplied with next, as fragments: see `fragment`
  TASKVEC_HD double* fragments(int64_t matrix, int f) const { return at(matrix, f, 2); }
  TASKVEC_HD double* partial(int64_t matrix, int f, int64_t split) const { return at(matrix, f, 3 + split); }
  // a factor as columns, [r][length], on the Householder route
  TASKVEC_HD double* tall(int64_t slot, int f) const {
    return reinterpret_cast<double*>(workspace + plan.chunk * plan.matrix_bytes + slot * plan.tall_bytes) +
           (f == 0 ? 0 : plan.r * plan.m);
  }
  // whether the Householder route computes a matrix
  TASKVEC_HD bool hidden(int64_t matrix) const {
    const State b = *state(matrix, 0), a = *state(matrix, 1);
    return (b == State::hidden && a != State::not_finite) || (a == State::hidden && b != State::not_finite);
  }
  // a team's matrix that did not fit into shared memory
  TASKVEC_HD double* spare(int64_t matrix, int f, int i) const {
    return at(matrix, f, 3 + plan.splits[f]) + i * plan.matrix_elements();
  }

 private:
  TASKVEC_HD char* memory(int64_t matrix) const { return workspace + matrix * plan.matrix_bytes; }
  TASKVEC_HD double* at(int64_t matrix, int f, int64_t i) const {
    const int64_t square = plan.padded * plan.padded, spares = (3 - plan.in_shared) * plan.matrix_elements();
    double* start =
        reinterpret_cast<double*>(memory(matrix) + 64) + (f == 0 ? 0 : (3 + plan.splits[0]) * square + spares);
    return start + i * square;
  }
};

// Where T[direction][column] lies so that a warp reads what one matrix instruction takes, 8 columns × 4 directions, as
// 256 bytes.
TASKVEC_HD inline int64_t fragment(int64_t padded, int64_t direction, int64_t column) {
  return (column / 8 * (padded / 4) + direction / 4) * 32 + column % 8 * 4 + direction % 4;
}

}  // namespace taskvec::TASKVEC_LEVEL
