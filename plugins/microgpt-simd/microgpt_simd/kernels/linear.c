/* Linear, y = x W^T + b, and the product of two matrices: see product.h. */

#include "long_sum.h"
#include "loops.h"
#include "product.h"

static int64_t product_workspace(const mg_call *call)
{
    return (int64_t)call->team->threads * PRODUCT_SCRATCH * (int64_t)sizeof(float);
}

INLINE int linear_forward_as(const mg_call *call, int paired)
{
    const mg_array *out = &call->array[0], *x = &call->array[1];
    const float *weight = FLOATS(2), *bias = FLOATS(3);
    multiply(call, (product){.c = out->data, .c_row = out->width, .m = x->rows, .n = out->width, .k = x->width,
                             .a = by_rows(x->data, x->width), .b = turned(weight, x->width), .bias = bias,
                             .paired = paired});
    return MG_OK;
}

typedef struct {
    const mg_array *d_bias, *d_out;
} bias_job;

static void sum_columns(void *job, int64_t first, int64_t last, int worker) /* in vectors */
{
    const mg_array *d_bias = ((const bias_job *)job)->d_bias, *d_out = ((const bias_job *)job)->d_out;
    const float *d = d_out->data;
    EACH_VECTOR (i, n, first * LANES, last * LANES < d_bias->size ? last * LANES : d_bias->size) {
        long_sum sum = {0};
        for (int64_t t = 0; t < d_out->rows; t++)
            add_term(&sum, get(d + t * d_out->width + i, n));
        give(d_bias, i, each_lane(&sum), n);
    }
}

/* d_b += sum_t d_out, where it is wanted. */
INLINE void linear_backward_bias(const mg_call *call, const mg_array *d_bias, const mg_array *d_out)
{
    bias_job job = {d_bias, d_out};
    if (d_bias->data)
        share_rows_of(call, pieces(d_out->width, LANES), d_out->rows * LANES, sum_columns, &job);
}

INLINE int linear_backward_as(const mg_call *call, int paired)
{
    const mg_array *d_x = &call->array[0], *d_weight = &call->array[1], *d_bias = &call->array[2];
    const mg_array *d_out = &call->array[3], *x = &call->array[4], *weight = &call->array[5];
    const int64_t rows = x->rows, n_in = x->width, n_out = d_out->width;
    if (d_x->data)
        multiply(call, (product){.c = d_x->data, .c_row = n_in, .m = rows, .n = n_in, .k = n_out, .add = !d_x->set,
                                 .a = by_rows(d_out->data, n_out), .b = by_rows(weight->data, n_in), .paired = paired});
    if (d_weight->data)
        multiply(call, (product){.c = d_weight->data, .c_row = n_in, .m = n_out, .n = n_in, .k = rows,
                                 .add = !d_weight->set, .a = turned(d_out->data, n_out), .b = by_rows(x->data, n_in),
                                 .paired = paired});
    linear_backward_bias(call, d_bias, d_out);
    return MG_OK;
}

static int linear_forward(const mg_call *call) { return linear_forward_as(call, 0); }
static int linear_backward(const mg_call *call) { return linear_backward_as(call, 0); }
static int linear_bfloat16_forward(const mg_call *call) { return linear_forward_as(call, 1); }
static int linear_bfloat16_backward(const mg_call *call) { return linear_backward_as(call, 1); }

static int matmul_forward(const mg_call *call)
{
    const mg_array *out = &call->array[0], *a = &call->array[1], *b = &call->array[2];
    multiply(call, (product){.c = out->data, .c_row = b->width, .m = a->rows, .n = b->width, .k = a->width,
                             .a = by_rows(a->data, a->width), .b = by_rows(b->data, b->width)});
    return MG_OK;
}

static int matmul_backward(const mg_call *call)
{
    const mg_array *d_a = &call->array[0], *d_b = &call->array[1];
    const mg_array *d_out = &call->array[2], *a = &call->array[3], *b = &call->array[4];
    if (d_a->data)
        multiply(call, (product){.c = d_a->data, .c_row = a->width, .m = a->rows, .n = a->width, .k = b->width,
                                 .add = !d_a->set, .a = by_rows(d_out->data, b->width),
                                 .b = turned(b->data, b->width)});
    if (d_b->data)
        multiply(call, (product){.c = d_b->data, .c_row = b->width, .m = a->width, .n = b->width, .k = a->rows,
                                 .add = !d_b->set, .a = turned(a->data, a->width),
                                 .b = by_rows(d_out->data, b->width)});
    return MG_OK;
}
