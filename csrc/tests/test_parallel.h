// parallel_for: every item once, from any number of threads, after an exception and in a forked child.
#pragma once

namespace taskvec::testing {

void test_parallel();

}  // namespace taskvec::testing
