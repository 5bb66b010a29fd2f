/* The last linear layer, cross-entropy and the gradients of both: logits are made for CHUNK rows at a time, become their
   own gradients in place, are multiplied into the gradients of x and of the weight, and are forgotten. */

enum { CHUNK = STRETCH }; /* rows: then d_weight is summed in the same stretches as without chunks, to the same bits */

static int64_t chunk_rows(const mg_call *call) { return call->array[2].rows < CHUNK ? call->array[2].rows : CHUNK; }

static int64_t linear_cross_entropy_workspace(const mg_call *call)
{
    const int64_t logits = chunk_rows(call) * call->array[3].rows * (int64_t)sizeof(float);
    return product_workspace(call) + chunk_rows(call) * (int64_t)sizeof(double) + logits;
}

static int linear_cross_entropy_forward(const mg_call *call)
{
    const mg_array *x = &call->array[2], *weight = &call->array[3];
    float *x_gradient = FLOATS(1), *weight_gradient = FLOATS(6);
    const int64_t n_in = x->width, width = weight->rows, most = chunk_rows(call);
    const int paired = call->attribute[1].integer != 0;
    double *losses = (double *)((char *)call->workspace + product_workspace(call)), sum = 0;
    float *logits = (float *)(losses + most);
    loss_rows l = {.logits = logits, .losses = losses, .d = logits, .set = 1, .width = width,
                   .smoothing = call->attribute[0].number};
    const int code = check_targets(call, 4, width, FLOATS(5), &l.factor);
    if (code == MG_OUT_OF_RANGE)
        return code;
    for (int64_t first = 0; first < x->rows; first += most) {
        const int64_t rows = x->rows - first < most ? x->rows - first : most;
        const matrix some = by_rows((float *)x->data + first * n_in, n_in);
        l.targets = INTS(4) + first;
        multiply(call, (product){.c = logits, .c_row = width, .m = rows, .n = width, .k = n_in, .a = some,
                                 .b = turned(weight->data, n_in), .paired = paired});
        share_rows_of(call, rows, width, compute_losses, &l);
        for (int64_t t = 0; t < rows; t++)
            sum += losses[t];
        multiply(call, (product){.c = x_gradient + first * n_in, .c_row = n_in, .m = rows, .n = n_in, .k = width,
                                 .a = by_rows(logits, width), .b = by_rows(weight->data, n_in), .paired = paired});
        if (weight_gradient)
            multiply(call, (product){.c = weight_gradient, .c_row = n_in, .m = width, .n = n_in, .k = rows,
                                     .add = first > 0 || !call->array[6].set, .a = turned(logits, width), .b = some,
                                     .paired = paired});
    }
    *FLOATS(0) = (float)(sum * l.factor);
    return code;
}
