#include "cpu/pairwise/all_sign_patterns.h"

#include <algorithm>

namespace taskvec {
namespace {

constexpr std::int64_t exact_rank = 10;
constexpr int array_bits = 8;  // 256 patterns and their complements, enough for 256 directions

// `count` columns of `bits` bits: each new one is the xor of the fewest three before it, the smallest such number.
std::vector<std::uint32_t> array_columns(std::int64_t count, int bits) {
  const std::uint32_t size = 1u << bits;
  std::vector<std::uint32_t> columns;
  std::vector<std::int64_t> pairs(size), triples(size);
  std::vector<bool> used(size);
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t best = size;
    for (std::uint32_t c = 0; c < size; ++c) {
      if (!used[c] && (best == size || triples[c] < triples[best])) best = c;
    }
    for (std::uint32_t c = 0; c < size; ++c) triples[c] += pairs[c ^ best];
    for (const std::uint32_t column : columns) ++pairs[column ^ best];
    columns.push_back(best), used[best] = true;
  }
  return columns;
}

// A bit for each direction but the first: with the complements, every pattern once.
std::vector<std::uint32_t> exact_columns(std::int64_t count) {
  std::vector<std::uint32_t> columns;
  for (std::int64_t i = 0; i < count; ++i) columns.push_back((1u << i) >> 1);
  return columns;
}

}  // namespace

AllSignPatterns::AllSignPatterns(std::int64_t k) {
  auto add = [&](std::int64_t least, std::int64_t most, const std::vector<std::uint32_t>& columns, int bits) {
    SignPatterns patterns{least, most, 1u << std::max(0, bits - 2), nullptr, {}};
    std::vector<SignColumn> by_group;
    for (std::uint32_t group = 0; group < 4; ++group) {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if ((columns[i] & 3) == group) by_group.push_back({std::int32_t(i), columns[i] >> 2});
      }
      patterns.group_end[group] = std::int32_t(by_group.size());
    }
    columns_.push_back(std::move(by_group)), list_.push_back(patterns);
  };
  for (std::int64_t r = 1; r <= std::min(k, exact_rank); ++r) add(0, r, exact_columns(r), int(r) - 1);
  std::int64_t least = exact_rank + 1;
  for (int bits = array_bits; least <= k; ++bits) {
    const std::int64_t most = std::int64_t(1) << bits;
    add(least, most, array_columns(std::min(k, most), bits), bits);
    least = most + 1;
  }
  for (std::size_t i = 0; i < list_.size(); ++i) list_[i].columns = columns_[i].data();
}

}  // namespace taskvec
