/* Embedding: out[t] = weight[ids[t]], d_weight[ids[t]] += d_out[t]. */

#include "loops.h"

static int check_ids(const mg_call *call, int ids, int64_t rows)
{
    for (int64_t t = 0; t < call->array[ids].size; t++)
        if (INTS(ids)[t] < 0 || INTS(ids)[t] >= rows)
            return out_of_range(call, ids, t, INTS(ids)[t], 0, rows - 1);
    return MG_OK;
}

static int embedding_forward(const mg_call *call)
{
    float *out = FLOATS(0);
    const int32_t *ids = INTS(1);
    const float *weight = FLOATS(2);
    const int64_t width = call->array[2].width;
    int code = check_ids(call, 1, call->array[2].rows);
    for (int64_t t = 0; !code && t < call->array[1].size; t++)
        memcpy(out + t * width, weight + ids[t] * width, (size_t)width * sizeof(float));
    return code;
}

static void embedding_backward_part(void *job, int64_t first, int64_t last, int worker) /* columns, in vectors */
{
    const mg_call *call = job;
    float *d_weight = FLOATS(0);
    const float *d_out = FLOATS(1);
    const int32_t *ids = INTS(2);
    const int64_t width = call->array[0].width;
    for (int64_t t = 0; t < call->array[2].size; t++)
        EACH_VECTOR (i, n, first * LANES, last * LANES < width ? last * LANES : width) {
            float *d = d_weight + ids[t] * width + i;
            put(d, get(d, n) + get(d_out + t * width + i, n), n);
        }
}

static int embedding_backward(const mg_call *call)
{
    const mg_array *d_weight = &call->array[0];
    int code = d_weight->data ? check_ids(call, 2, d_weight->rows) : MG_OK;
    if (code || !d_weight->data)
        return code;
    if (d_weight->set)
        memset(d_weight->data, 0, (size_t)d_weight->size * sizeof(float));
    share_rows(call, (d_weight->width + LANES - 1) / LANES, call->array[2].size * LANES, embedding_backward_part);
    return MG_OK;
}
