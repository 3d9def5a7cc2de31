// What this CPU has besides what its level is compiled for. Plain functions: level files call them.
#pragma once

namespace taskvec {

bool has_avx512_vnni();
bool has_avx_vnni();  // VNNI of 32-byte registers, on CPUs without AVX-512

// Why the level amx cannot run here, in one line; empty when it can. Asks the operating system for the tiles, once.
const char* amx_problem();

// TASKVEC_AMX=emulated, for tests: slices in every call, by emulated tiles.
bool emulates_amx();

}  // namespace taskvec
