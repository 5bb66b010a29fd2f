/* The kernels with what amx may use: see level.c. */
#define MG_LEVEL _amx
#include "level.c"
