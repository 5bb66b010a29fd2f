/* What a call of attention is about: its buffers and sizes, and which rows of k a query sees. */

#ifndef MG_ATTENTION_H
#define MG_ATTENTION_H

#include <math.h>

#include "loops.h"

typedef struct { /* what a call is about */
    const float *q, *k, *v;
    const int32_t *positions, *start;
    int64_t batch, length, room, channels, kv_channels, n_head, n_kv_head, width, window;
    int has_positions; /* known before they lie anywhere */
    float scale;
} sight;

static sight look(const mg_call *call, int q)
{
    const mg_array *a = call->array + q;
    const int64_t n_head = call->attribute[0].integer, width = a[0].shape[2] / n_head;
    return (sight){
        .q = a[0].data, .k = a[1].data, .v = a[2].data, .positions = a[3].data, .start = a[4].data,
        .batch = a[0].shape[0], .length = a[0].shape[1], .room = a[1].shape[1],
        .channels = a[0].shape[2], .kv_channels = a[1].shape[2], .n_head = n_head,
        .n_kv_head = a[1].shape[2] / width, .width = width,
        .window = call->attribute[1].given && call->attribute[1].integer < INT32_MAX ? call->attribute[1].integer : INT32_MAX,
        .has_positions = a[3].size > 0,
        .scale = (float)(1 / sqrt((double)width)),
    };
}

static int check_sight(const mg_call *call, int q, const sight *s)
{
    for (int64_t b = 0; b < s->batch; b++) {
        const int64_t at = s->start ? s->start[b] : 0;
        if (at < 0 || at > s->room - s->length)
            return out_of_range(call, q + 4, b, at, 0, s->room - s->length);
        for (int64_t t = 0; s->positions && t < s->length; t++) {
            const int64_t position = s->positions[b * s->length + t];
            if (position < 0 || position > at + t)
                return out_of_range(call, q + 3, b * s->length + t, position, 0, at + t);
        }
    }
    return MG_OK;
}

static int all_finite(const float *rows, int64_t stride, int64_t n, int64_t width)
{
    vf zero = {0};
    for (int64_t s = 0; s < n; s++)
        EACH_VECTOR (i, m, 0, width) {
            const vf x = get(rows + s * stride + i, m);
            zero += x - x;
        }
    return sum_lanes(zero) == 0;
}

#endif
