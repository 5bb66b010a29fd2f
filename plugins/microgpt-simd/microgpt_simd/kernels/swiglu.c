/* SwiGLU: out = x silu(gate). d_x += d_out silu(gate), d_gate += d_out x silu'(gate). Here a is x, b is gate. */

#include "pairwise.h"

PAIRWISE(swiglu, a * silu_f(b), READS_BOTH, d * silu_f(b), d * a * silu_df(b))
