/* The kernels with what avx512bf16 may use: see level.c. */
#define MG_LEVEL _avx512bf16
#include "level.c"
