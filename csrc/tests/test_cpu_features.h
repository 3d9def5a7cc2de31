// Why the level amx cannot run on CPUs and operating systems that are made up.
#pragma once

namespace taskvec::testing {

void test_cpu_features();

}  // namespace taskvec::testing
