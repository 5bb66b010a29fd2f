/* The sum and the mean of all numbers, in stretches of a fixed length whose sums are added in double precision. */

#include "loops.h"

enum { SUMMED = 1024 };

static double total(const float *x, int64_t size)
{
    double sum = 0;
    for (int64_t from = 0; from < size; from += SUMMED) {
        vf part = {0};
        EACH_VECTOR (i, n, from, from + SUMMED < size ? from + SUMMED : size)
            part += get(x + i, n);
        sum += sum_lanes(part);
    }
    return sum;
}

static int sum_forward(const mg_call *call)
{
    *FLOATS(0) = (float)total(FLOATS(1), call->array[1].size);
    return MG_OK;
}

static int mean_forward(const mg_call *call)
{
    *FLOATS(0) = (float)(total(FLOATS(1), call->array[1].size) / (double)call->array[1].size);
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
