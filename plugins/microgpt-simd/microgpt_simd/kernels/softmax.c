/* Softmax along the last axis: y_i = exp(x_i - m) / sum_j exp(x_j - m), m = max(x). */

#include "functions.h"
#include "long_sum.h"
#include "loops.h"

INLINE float largest(const float *x, int64_t width)
{
    vf top = splat(-INFINITY);
    EACH_VECTOR (i, n, 0, width) {
        vf some = get(x + i, n);
        if (n < LANES)
            some = choose(lane_numbers() < splat_int((int32_t)n), some, splat(-INFINITY));
        top = larger(some, top);
    }
    return largest_lane(top);
}

/* exp(x - top) into y, if there is one, and their sum without the one at `apart` (-1: of them all). */
INLINE float powers(float *y, const float *x, float top, int64_t width, int64_t apart)
{
    long_sum sum = {0};
    EACH_VECTOR (i, n, 0, width) {
        vf some = exp_(get(x + i, n) - splat(top));
        if (y)
            put(y + i, some, n);
        if (n < LANES)
            some = choose(lane_numbers() < splat_int((int32_t)n), some, (vf){0});
        if (apart >= i && apart < i + LANES)
            some = choose(lane_numbers() == splat_int((int32_t)(apart - i)), (vf){0}, some);
        add_term(&sum, some);
    }
    return all_lanes(&sum);
}

static void softmax_forward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const int64_t width = call->array[0].width;
    for (int64_t r = first; r < last; r++) {
        float *out = FLOATS(0) + r * width;
        const float *x = FLOATS(1) + r * width;
        float share = 1.0f / powers(out, x, largest(x, width), width, -1);
        EACH_VECTOR (i, n, 0, width)
            put(out + i, get(out + i, n) * splat(share), n);
    }
}

static int softmax_forward(const mg_call *call)
{
    share_rows(call, call->array[0].rows, call->array[0].width, softmax_forward_part);
    return MG_OK;
}

static void softmax_backward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const mg_array *d_x = &call->array[0];
    const int64_t width = d_x->width;
    for (int64_t r = first; r < last; r++) {
        const float *d_out = FLOATS(1) + r * width, *out = FLOATS(2) + r * width;
        long_sum sum = {0};
        EACH_VECTOR (i, n, 0, width)
            add_product(&sum, get(d_out + i, n), get(out + i, n));
        vf mean = splat(all_lanes(&sum));
        EACH_VECTOR (i, n, 0, width)
            give(d_x, r * width + i, get(out + i, n) * (get(d_out + i, n) - mean), n);
    }
}

static int softmax_backward(const mg_call *call)
{
    if (FLOATS(0))
        share_rows(call, call->array[0].rows, call->array[0].width, softmax_backward_part);
    return MG_OK;
}
