/* LayerNorm: z = (x - m) r, y = z w + b; with g = d_y w: d_x = r (g - mean(g) - z mean(g z)). */

#include "long_sum.h"
#include "loops.h"

/* A row's numbers become out's. Returns r, and m in `mean`. */
INLINE float layernorm_row(
    float *out, float *mean, const float *row, const float *weight, const float *bias, int64_t width, float eps)
{
    long_sum sum = {0}, squares = {0};
    EACH_VECTOR (i, n, 0, width)
        add_term(&sum, get(row + i, n));
    const float m = *mean = all_lanes(&sum) / (float)width;
    EACH_VECTOR (i, n, 0, width) {
        vf z = get(row + i, n) - splat(m);
        if (n < LANES)
            z = choose(lane_numbers() < splat_int((int32_t)n), z, (vf){0});
        add_product(&squares, z, z);
    }
    const float r = 1.0f / sqrtf(all_lanes(&squares) / (float)width + eps);
    EACH_VECTOR (i, n, 0, width) {
        vf y = (get(row + i, n) - splat(m)) * splat(r);
        y = weight ? y * get(weight + i, n) : y;
        put(out + i, bias ? y + get(bias + i, n) : y, n);
    }
    return r;
}

static void layernorm_forward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *out = FLOATS(0), *mean = FLOATS(1), *rstd = FLOATS(2);
    const float *x = FLOATS(3), *weight = FLOATS(4), *bias = FLOATS(5);
    const int64_t width = call->array[3].width;
    const float eps = (float)call->attribute[0].number;
    for (int64_t t = first; t < last; t++)
        rstd[t] = layernorm_row(out + t * width, mean + t, x + t * width, weight, bias, width, eps);
}

static int layernorm_forward(const mg_call *call)
{
    share_rows(call, call->array[3].rows, call->array[3].width, layernorm_forward_part);
    return MG_OK;
}

static void layernorm_backward_x(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const mg_array *d_x = &call->array[0];
    const float *d_out = FLOATS(3), *mean = FLOATS(4), *rstd = FLOATS(5), *x = FLOATS(6), *weight = FLOATS(7);
    const int64_t width = call->array[6].width;
    for (int64_t t = first; t < last; t++) {
        const float *row = x + t * width, *d = d_out + t * width;
        const vf m = splat(mean[t]), r = splat(rstd[t]);
        long_sum sum = {0}, product = {0};
        EACH_VECTOR (i, n, 0, width) {
            vf g = get(d + i, n);
            g = weight ? g * get(weight + i, n) : g;
            add_term(&sum, g);
            add_product(&product, g, (get(row + i, n) - m) * r); /* g is 0 in lanes beyond the row */
        }
        const vf shift = splat(all_lanes(&sum) / (float)width), slope = splat(all_lanes(&product) / (float)width);
        EACH_VECTOR (i, n, 0, width) {
            vf g = get(d + i, n);
            g = weight ? g * get(weight + i, n) : g;
            give(d_x, t * width + i, r * (g - shift - (get(row + i, n) - m) * r * slope), n);
        }
    }
}

static void layernorm_backward_weights(void *job, int64_t first, int64_t last, int worker) /* in vectors */
{
    const mg_call *call = job;
    const mg_array *d_weight = &call->array[1], *d_bias = &call->array[2];
    const float *d_out = FLOATS(3), *mean = FLOATS(4), *rstd = FLOATS(5), *x = FLOATS(6);
    const int64_t rows = call->array[6].rows, width = call->array[6].width;
    EACH_VECTOR (i, n, first * LANES, last * LANES < width ? last * LANES : width) {
        long_sum sum = {0}, product = {0};
        for (int64_t t = 0; t < rows; t++) {
            vf d = get(d_out + t * width + i, n);
            add_term(&sum, d);
            add_product(&product, d, (get(x + t * width + i, n) - splat(mean[t])) * splat(rstd[t]));
        }
        if (d_weight->data)
            give(d_weight, i, each_lane(&product), n);
        if (d_bias->data)
            give(d_bias, i, each_lane(&sum), n);
    }
}

static int layernorm_backward(const mg_call *call)
{
    const int64_t rows = call->array[6].rows, width = call->array[6].width;
    if (FLOATS(0))
        share_rows(call, rows, width, layernorm_backward_x);
    if (FLOATS(1) || FLOATS(2))
        share_rows(call, (width + LANES - 1) / LANES, rows * LANES, layernorm_backward_weights);
    return MG_OK;
}
