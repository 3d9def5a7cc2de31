// Elementary functions of vectors.
#pragma once

namespace taskvec::testing {

void test_exp();

}  // namespace taskvec::testing
