/* SwiGLU: out = x silu(gate). d_x += d_out silu(gate), d_gate += d_out x silu'(gate). */

#include "loops.h"

static void swiglu_forward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *out = FLOATS(0);
    const float *x = FLOATS(1), *gate = FLOATS(2);
    EACH_VECTOR (i, n, first * BLOCK, block_end(last, call->array[0].size))
        put(out + i, get(x + i, n) * silu_f(get(gate + i, n)), n);
}

static int swiglu_forward(const mg_call *call)
{
    share_numbers(call, call->array[0].size, swiglu_forward_part);
    return MG_OK;
}

static void swiglu_backward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const mg_array *d_x = &call->array[0], *d_gate = &call->array[1];
    const float *d_out = FLOATS(2), *x = FLOATS(3), *gate = FLOATS(4);
    EACH_VECTOR (i, n, first * BLOCK, block_end(last, call->array[2].size)) {
        vf d = get(d_out + i, n), g = get(gate + i, n);
        if (d_x->data)
            give(d_x, i, d * silu_f(g), n);
        if (d_gate->data)
            give(d_gate, i, d * get(x + i, n) * silu_df(g), n);
    }
}

static int swiglu_backward(const mg_call *call)
{
    share_numbers(call, call->array[2].size, swiglu_backward_part);
    return MG_OK;
}
