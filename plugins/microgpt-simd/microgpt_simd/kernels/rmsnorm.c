/* RMSNorm: r = 1 / sqrt(mean(x^2) + eps), y = x r w; with g = d_y w: d_x = r g - x r^3 mean(g x). */

#include "long_sum.h"
#include "loops.h"

/* A row's numbers become out's. Returns r. */
INLINE float rmsnorm_row(float *out, const float *row, const float *weight, int64_t width, float eps)
{
    long_sum sum = {0};
    EACH_VECTOR (i, n, 0, width)
        add_product(&sum, get(row + i, n), get(row + i, n));
    const float r = 1.0f / sqrtf(all_lanes(&sum) / (float)width + eps);
    EACH_VECTOR (i, n, 0, width) {
        vf y = splat(r) * get(row + i, n);
        put(out + i, weight ? y * get(weight + i, n) : y, n);
    }
    return r;
}

static void rmsnorm_forward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *out = FLOATS(0), *rstd = FLOATS(1);
    const float *x = FLOATS(2), *weight = FLOATS(3);
    const int64_t width = call->array[2].width;
    const float eps = (float)call->attribute[0].number;
    for (int64_t t = first; t < last; t++)
        rstd[t] = rmsnorm_row(out + t * width, x + t * width, weight, width, eps);
}

static int rmsnorm_forward(const mg_call *call)
{
    share_rows(call, call->array[2].rows, call->array[2].width, rmsnorm_forward_part);
    return MG_OK;
}

static void rmsnorm_backward_x(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const mg_array *d_x = &call->array[0];
    const float *d_out = FLOATS(2), *rstd = FLOATS(3), *x = FLOATS(4), *weight = FLOATS(5);
    const int64_t width = call->array[4].width;
    for (int64_t t = first; t < last; t++) {
        const float *row = x + t * width, *d = d_out + t * width;
        const float r = rstd[t];
        long_sum sum = {0};
        EACH_VECTOR (i, n, 0, width) {
            vf g = get(d + i, n);
            add_product(&sum, weight ? g * get(weight + i, n) : g, get(row + i, n));
        }
        const vf slope = splat(r * r * r * (all_lanes(&sum) / (float)width));
        EACH_VECTOR (i, n, 0, width) {
            vf g = get(d + i, n);
            g = weight ? g * get(weight + i, n) : g;
            give(d_x, t * width + i, splat(r) * g - slope * get(row + i, n), n);
        }
    }
}

static void rmsnorm_backward_weight(void *job, int64_t first, int64_t last, int worker) /* in vectors */
{
    const mg_call *call = job;
    const mg_array *d_weight = &call->array[1];
    const float *d_out = FLOATS(2), *rstd = FLOATS(3), *x = FLOATS(4);
    const int64_t rows = call->array[4].rows, width = d_weight->size;
    EACH_VECTOR (i, n, first * LANES, last * LANES < width ? last * LANES : width) {
        long_sum sum = {0};
        for (int64_t t = 0; t < rows; t++)
            add_product(&sum, get(d_out + t * width + i, n), splat(rstd[t]) * get(x + t * width + i, n));
        give(d_weight, i, each_lane(&sum), n);
    }
}

static int rmsnorm_backward(const mg_call *call)
{
    const int64_t rows = call->array[4].rows, width = call->array[4].width;
    if (FLOATS(0))
        share_rows(call, rows, width, rmsnorm_backward_x);
    if (FLOATS(1))
        share_rows(call, (width + LANES - 1) / LANES, rows * LANES, rmsnorm_backward_weight);
    return MG_OK;
}
