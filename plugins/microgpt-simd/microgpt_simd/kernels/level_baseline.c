/* The kernels with what baseline may use: see level.c. */
#define MG_LEVEL _baseline
#include "level.c"
