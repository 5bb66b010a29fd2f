/* Sums, differences, products, multiples: out = a + b, a - b, a b, factor x. */

#include "long_sum.h"
#include "loops.h"
#include "pairwise.h"

static void add_rows(void *job, int64_t first, int64_t last, int worker) /* rows of b's size */
{
    const mg_call *call = job;
    float *out = FLOATS(0);
    const float *a = FLOATS(1), *b = FLOATS(2);
    const int64_t size = call->array[2].size;
    for (int64_t r = first; r < last; r++)
        EACH_VECTOR (i, n, 0, size)
            put(out + r * size + i, get(a + r * size + i, n) + get(b + i, n), n);
}

PAIRWISE_FORWARD(add_same, a + b)

static int add_forward(const mg_call *call) /* b has a's shape or its last axes */
{
    const int64_t size = call->array[0].size, part = call->array[2].size;
    if (part == size)
        return add_same_forward(call);
    share_rows(call, size / part, part, add_rows);
    return MG_OK;
}

static void add_backward_a(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const mg_array *d_a = &call->array[0];
    const float *d_out = FLOATS(2);
    EACH_VECTOR (i, n, first * BLOCK, block_end(last, d_a->size))
        give(d_a, i, get(d_out + i, n), n);
}

static void add_backward_b(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const mg_array *d_b = &call->array[1];
    const float *d_out = FLOATS(2);
    EACH_VECTOR (i, n, first * BLOCK, block_end(last, d_b->size)) {
        long_sum sum = {0};
        for (int64_t at = i; at < call->array[2].size; at += d_b->size)
            add_term(&sum, get(d_out + at, n));
        give(d_b, i, each_lane(&sum), n);
    }
}

static int add_backward(const mg_call *call)
{
    if (FLOATS(0))
        share_numbers(call, call->array[0].size, add_backward_a);
    if (FLOATS(1))
        share_numbers(call, call->array[1].size, add_backward_b);
    return MG_OK;
}

PAIRWISE(sub, a - b, READS_NEITHER, d, -d)
PAIRWISE(mul, a * b, READS_BOTH, d * b, d * a)

static void scale_forward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *out = FLOATS(0);
    const float *x = FLOATS(1);
    const vf factor = splat((float)call->attribute[0].number);
    EACH_VECTOR (i, n, first * BLOCK, block_end(last, call->array[0].size))
        put(out + i, factor * get(x + i, n), n);
}

static int scale_forward(const mg_call *call)
{
    share_numbers(call, call->array[0].size, scale_forward_part);
    return MG_OK;
}

static void scale_backward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const mg_array *d_x = &call->array[0];
    const float *d_out = FLOATS(1);
    const vf factor = splat((float)call->attribute[0].number);
    EACH_VECTOR (i, n, first * BLOCK, block_end(last, d_x->size))
        give(d_x, i, factor * get(d_out + i, n), n);
}

static int scale_backward(const mg_call *call)
{
    if (FLOATS(0))
        share_numbers(call, call->array[0].size, scale_backward_part);
    return MG_OK;
}
