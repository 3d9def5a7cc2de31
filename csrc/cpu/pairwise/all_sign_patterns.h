// Makes the sign patterns of a call.
#pragma once

#include <vector>

#include "cpu/pairwise/sign_patterns.h"

namespace taskvec {

// Those of every number of directions up to k.
class AllSignPatterns {
 public:
  explicit AllSignPatterns(std::int64_t k);
  AllSignPatterns(const AllSignPatterns&) = delete;
  AllSignPatterns& operator=(const AllSignPatterns&) = delete;
  const SignPatterns* list() const { return list_.data(); }  // by `most`, up to k

 private:
  std::vector<SignPatterns> list_;
  std::vector<std::vector<SignColumn>> columns_;
};

}  // namespace taskvec
