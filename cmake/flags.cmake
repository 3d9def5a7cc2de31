# Options of the compiler for everything below.
include(CheckCXXCompilerFlag)

# rounding is part of the interface: no fast-math; a·b + c may be one fused operation
set(flags -Wall -Wextra -Werror=switch -ffp-contract=fast -fno-math-errno)
check_cxx_compiler_flag(-Wpsabi TASKVEC_HAS_PSABI)
if(TASKVEC_HAS_PSABI)
  list(APPEND flags -Wno-psabi)  # wide vectors are arguments of inlined functions alone
endif()
check_cxx_compiler_flag(-Wbitwise-conditional-parentheses TASKVEC_HAS_BITWISE)
if(TASKVEC_HAS_BITWISE)
  list(APPEND flags -Wno-bitwise-conditional-parentheses)  # | and & of lanes, then ?: by lane, as it stands
endif()
if(TASKVEC_WERROR)
  list(APPEND flags -Werror)
endif()
if(TASKVEC_SANITIZE)
  list(APPEND flags -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1)
  add_link_options(-fsanitize=address,undefined)
endif()
if(TASKVEC_COVERAGE)
  list(APPEND flags --coverage -fprofile-update=atomic -O1)
  add_link_options(--coverage)
endif()
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${flags}>")
