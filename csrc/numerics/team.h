// How a matrix is dealt out to a team: the threads of a CUDA block, their emulation in the tests, or one thread alone.
//
// A Team has: rank(), size() (a power of two); sync(), after which all see what any wrote; any(flag), the same for all;
// sum(x, width), the sum over runs of `width` ranks (a power of two up to 32); and dmma(c, a, b), the product of an 8 ×
// 4 and a 4 × 8 matrix spread over 32 ranks, which a team of one does not have. All members make the same calls in the
// same order.
#pragma once

#include "numerics/common.h"

namespace taskvec::TASKVEC_LEVEL {

// Runs of `width` members, `count` of them: one item (a row, a pair of rows) each.
struct Groups {
  int width, count, index, lane;

  template <class Team>
  TASKVEC_TEAM Groups(const Team& team, int64_t items) : width(1) {
    while (width < 32 && 2 * width * items <= team.size()) width *= 2;
    count = team.size() / width, index = team.rank() / width, lane = team.rank() % width;
  }
};

// Members as a grid of rows × columns for an n × n matrix.
struct Deal {
  int rows, columns, row, column;

  template <class Team>
  TASKVEC_TEAM Deal(const Team& team, int64_t n) : columns(1) {
    while (columns < n && columns < 32 && columns < team.size()) columns *= 2;
    rows = team.size() / columns, row = team.rank() / columns, column = team.rank() % columns;
  }
};

// f(i, j) for every element of an n × n matrix.
template <class Team, class F>
TASKVEC_TEAM void each_element(const Team& team, int64_t n, F&& f) {
  const Deal deal(team, n);
  for (int64_t i = deal.row; i < n; i += deal.rows) {
    for (int64_t j = deal.column; j < n; j += deal.columns) f(i, j);
  }
}

template <class Team, class F>
TASKVEC_TEAM void each(const Team& team, int64_t n, F&& f) {
  for (int64_t i = team.rank(); i < n; i += team.size()) f(i);
}

}  // namespace taskvec::TASKVEC_LEVEL
