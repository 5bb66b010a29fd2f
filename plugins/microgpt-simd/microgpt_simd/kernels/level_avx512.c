/* The kernels with what avx512 may use: see level.c. */
#define MG_LEVEL _avx512
#include "level.c"
