/* The kernels with what avx2 may use: see level.c. */
#define MG_LEVEL _avx2
#include "level.c"
