/* The last linear layer, cross-entropy and the gradients of both: logits are made for CHUNK rows at a time, become their
   own gradients in place, are multiplied into the gradients of x and of the weight, and are forgotten. */

enum { CHUNK = STRETCH }; /* rows: then d_weight is summed in the same stretches as without chunks, to the same bits */

typedef struct {
    const int32_t *targets;
    float *logits; /* of the chunk */
    double *losses; /* one a row, so that their sum has one order */
    int64_t width;
    double factor, smoothing;
} chunk;

static int64_t chunk_rows(const mg_call *call) { return call->array[2].rows < CHUNK ? call->array[2].rows : CHUNK; }

static int64_t linear_cross_entropy_workspace(const mg_call *call)
{
    const int64_t logits = chunk_rows(call) * call->array[3].rows * (int64_t)sizeof(float);
    return product_workspace(call) + chunk_rows(call) * (int64_t)sizeof(double) + logits;
}

/* Each row's loss, and its logits' gradients in place of the logits. */
static void chunk_losses(void *job, int64_t first, int64_t last, int worker)
{
    const chunk *c = job;
    const int64_t width = c->width;
    const vf rest = splat((float)(c->factor * c->smoothing / (double)width));
    for (int64_t t = first; t < last; t++) {
        float *row = c->logits + t * width;
        const int32_t target = c->targets[t];
        c->losses[t] = 0;
        if (target == IGNORED) {
            memset(row, 0, (size_t)width * sizeof(float));
            continue;
        }
        const float top = largest(row, width), hit = row[target];
        const double mean = c->smoothing ? total(row, width) / (double)width : 0;
        const shares p = powers_beside(row, row, top, width, target);
        const double lse = (double)top + log_(splat(p.sum))[0];
        c->losses[t] = (1 - c->smoothing) * (lse - hit) + (c->smoothing ? c->smoothing * (lse - mean) : 0);
        const vf share = splat((float)(c->factor / p.sum));
        EACH_VECTOR (i, n, 0, width)
            put(row + i, share * get(row + i, n) - rest, n);
        row[target] = (float)(c->factor * c->smoothing) - rest[0] - share[0] * p.others;
    }
}

static int linear_cross_entropy_forward(const mg_call *call)
{
    const mg_array *x = &call->array[2], *weight = &call->array[3];
    float *x_gradient = FLOATS(1), *weight_gradient = FLOATS(6);
    const int64_t n_in = x->width, width = weight->rows, most = chunk_rows(call);
    const int paired = call->attribute[1].integer != 0;
    chunk c = {.losses = (double *)((char *)call->workspace + product_workspace(call)), .width = width,
               .smoothing = call->attribute[0].number};
    int code = check_targets(call, 4, width, FLOATS(5), &c.factor);
    if (code == MG_OUT_OF_RANGE)
        return code;
    c.logits = (float *)(c.losses + most);
    double sum = 0;
    for (int64_t first = 0; first < x->rows; first += most) {
        const int64_t rows = x->rows - first < most ? x->rows - first : most;
        const matrix some = by_rows((float *)x->data + first * n_in, n_in);
        c.targets = INTS(4) + first;
        multiply(call, (product){.c = c.logits, .c_row = width, .m = rows, .n = width, .k = n_in, .a = some,
                                 .b = turned(weight->data, n_in), .paired = paired});
        share_rows_of(call, rows, width, chunk_losses, &c);
        for (int64_t t = 0; t < rows; t++)
            sum += c.losses[t];
        multiply(call, (product){.c = x_gradient + first * n_in, .c_row = n_in, .m = rows, .n = n_in, .k = width,
                                 .a = by_rows(c.logits, width), .b = by_rows(weight->data, n_in), .paired = paired});
        if (weight_gradient)
            multiply(call, (product){.c = weight_gradient, .c_row = n_in, .m = width, .n = n_in, .k = rows, .add = 1,
                                     .a = turned(c.logits, width), .b = some, .paired = paired});
    }
    *FLOATS(0) = (float)(sum * c.factor);
    return code;
}
