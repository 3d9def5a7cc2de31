// Half precision in storage, under the name that the compiler has for it.
#pragma once

namespace taskvec {

#if defined(__aarch64__) && !defined(__clang__) && __GNUC__ < 13
using Half = __fp16;  // _Float16 is C's alone there
#else
using Half = _Float16;
#endif

}  // namespace taskvec
