/* The sum and the mean of all numbers. */

#include "long_sum.h"
#include "loops.h"

static float total(const float *x, int64_t size)
{
    long_sum sum = {0};
    EACH_VECTOR (i, n, 0, size)
        add_term(&sum, get(x + i, n));
    return all_lanes(&sum);
}

static int sum_forward(const mg_call *call)
{
    *FLOATS(0) = total(FLOATS(1), call->array[1].size);
    return MG_OK;
}

static int mean_forward(const mg_call *call)
{
    *FLOATS(0) = total(FLOATS(1), call->array[1].size) / (float)call->array[1].size;
    return MG_OK;
}

static void give_everywhere(const mg_array *d_x, float value)
{
    EACH_VECTOR (i, n, 0, d_x->size)
        give(d_x, i, splat(value), n);
}

static int sum_backward(const mg_call *call)
{
    if (FLOATS(0))
        give_everywhere(&call->array[0], *FLOATS(1));
    return MG_OK;
}

static int mean_backward(const mg_call *call)
{
    if (FLOATS(0))
        give_everywhere(&call->array[0], (float)(*FLOATS(1) / (double)call->array[0].size));
    return MG_OK;
}
