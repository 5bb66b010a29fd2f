/* Three linear layers of one x, as q, k and v are. In bfloat16, but for AMX and for few rows, x is rounded and paired once
   for the three: along its rows for their outputs, two rows at a time for their weights' gradients. */

#if HAS_AMX
enum { PAIRS_FIRST = 0 }; /* its tiles are packed another way */
#else
enum { PAIRS_FIRST = 1 };
#endif

typedef struct {
    const mg_array *x;
    float *to;
    int64_t width;
} pairing;

static void pair_along_rows(void *job, int64_t first, int64_t last, int worker)
{
    const pairing *j = job;
    const int64_t k = j->x->width;
    pair_a(j->to + first * j->width, by_rows((float *)j->x->data + first * k, k), last - first, k);
}

static void pair_rows_by_two(void *job, int64_t first, int64_t last, int worker) /* in pairs of rows */
{
    const pairing *j = job;
    const int64_t n = j->x->width, end = 2 * last < j->x->rows ? 2 * last : j->x->rows;
    pair_two_rows(j->to + first * j->width, j->width, (float *)j->x->data + 2 * first * n, n, end - 2 * first, n);
}

static int64_t linear_qkv_bfloat16_forward_workspace(const mg_call *call)
{
    const mg_array *x = &call->array[3];
    return product_workspace(call) + PAIRS_FIRST * x->rows * width_along(x->width) * (int64_t)sizeof(float);
}

static int64_t linear_qkv_bfloat16_backward_workspace(const mg_call *call)
{
    const mg_array *x = &call->array[10];
    return product_workspace(call) + PAIRS_FIRST * pieces(x->rows, 2) * width_by_two(x->width) * (int64_t)sizeof(float);
}

INLINE int linear_qkv_forward_as(const mg_call *call, int paired)
{
    const mg_array *x = &call->array[3];
    matrix a = by_rows(x->data, x->width);
    pairing job = {x, (float *)((char *)call->workspace + product_workspace(call)), width_along(x->width)};
    const int first = paired && PAIRS_FIRST && x->rows > FEW;
    if (first) {
        share_rows_of(call, x->rows, x->width, pair_along_rows, &job);
        a = by_rows(job.to, job.width);
    }
    for (int i = 0; i < 3; i++) {
        const mg_array *out = &call->array[i];
        multiply(call, (product){.c = out->data, .c_row = out->width, .m = x->rows, .n = out->width, .k = x->width, .a = a,
                                 .b = turned(FLOATS(4 + i), x->width), .bias = FLOATS(7 + i), .paired = paired,
                                 .a_is_paired = first});
    }
    return MG_OK;
}

INLINE int linear_qkv_backward_as(const mg_call *call, int paired)
{
    const mg_array *d_x = &call->array[0], *x = &call->array[10];
    const int64_t rows = x->rows, n_in = x->width;
    matrix b = by_rows(x->data, n_in);
    pairing job = {x, (float *)((char *)call->workspace + product_workspace(call)), width_by_two(x->width)};
    const int first = paired && PAIRS_FIRST && (FLOATS(1) || FLOATS(2) || FLOATS(3));
    for (int i = 2, adds = !d_x->set; d_x->data && i >= 0; i--, adds = 1) { /* from v's to q's, as a tape has them */
        const mg_array *d_out = &call->array[7 + i];
        multiply(call, (product){.c = d_x->data, .c_row = n_in, .m = rows, .n = n_in, .k = d_out->width, .add = adds,
                                 .a = by_rows(d_out->data, d_out->width), .b = by_rows(FLOATS(11 + i), n_in),
                                 .paired = paired});
    }
    if (first) {
        share_rows_of(call, pieces(rows, 2), 2 * n_in, pair_rows_by_two, &job);
        b = by_rows(job.to, job.width);
    }
    for (int i = 2; i >= 0; i--) {
        const mg_array *d_weight = &call->array[1 + i], *d_out = &call->array[7 + i];
        if (d_weight->data)
            multiply(call, (product){.c = d_weight->data, .c_row = n_in, .m = d_out->width, .n = n_in, .k = rows,
                                     .add = !d_weight->set, .a = turned(d_out->data, d_out->width), .b = b,
                                     .paired = paired, .b_is_paired = first});
        linear_backward_bias(call, &call->array[4 + i], d_out);
    }
    return MG_OK;
}

static int linear_qkv_forward(const mg_call *call) { return linear_qkv_forward_as(call, 0); }
static int linear_qkv_backward(const mg_call *call) { return linear_qkv_backward_as(call, 0); }
static int linear_qkv_bfloat16_forward(const mg_call *call) { return linear_qkv_forward_as(call, 1); }
static int linear_qkv_bfloat16_backward(const mg_call *call) { return linear_qkv_backward_as(call, 1); }
