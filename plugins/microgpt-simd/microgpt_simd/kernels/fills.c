/* Zeros, ones, and rows written into a cache. */

#include "loops.h"

static int zero_forward(const mg_call *call)
{
    const mg_array *x = &call->array[0];
    memset(x->data, 0, (size_t)x->size * 4); /* float32 and int32 alike */
    return MG_OK;
}

static int ones_like_forward(const mg_call *call)
{
    float *out = FLOATS(0);
    EACH_VECTOR (i, n, 0, call->array[0].size)
        put(out + i, splat(1.0f), n);
    return MG_OK;
}

static int cache_write_forward(const mg_call *call)
{
    const mg_array *cache = &call->array[0], *x = &call->array[1];
    const int32_t *start = INTS(2);
    const int64_t batch = x->shape[0], length = x->shape[1], channels = x->shape[2], room = cache->shape[1];
    for (int64_t b = 0; b < batch; b++)
        if (start[b] < 0 || start[b] > room - length)
            return out_of_range(call, 2, b, start[b], 0, room - length);
    for (int64_t b = 0; b < batch; b++)
        memcpy(
            FLOATS(0) + (b * room + start[b]) * channels, FLOATS(1) + b * length * channels,
            (size_t)(length * channels) * sizeof(float));
    return MG_OK;
}
