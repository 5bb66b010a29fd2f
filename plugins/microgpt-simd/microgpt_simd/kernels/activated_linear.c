/* A linear layer that reads an activation's results, y = f(x) W^T + b, which products make while they pack x: product.h. */

typedef struct {
    bend values, slopes;
} activation;

/* In the order of ACTIVATIONS in activated_linear.py. */
static const activation activations[] = {
    {gelu_values, gelu_slopes}, {gelu_tanh_values, gelu_tanh_slopes}, {relu_values, relu_slopes},
    {relu2_values, relu2_slopes}, {sigmoid_values, sigmoid_slopes}, {silu_values, silu_slopes}, {tanh_values, tanh_slopes},
};

INLINE int activated_linear_forward_as(const mg_call *call, int paired)
{
    const mg_array *out = &call->array[0], *x = &call->array[1];
    const bends bent = {.a = activations[call->attribute[0].integer].values};
    multiply(call, (product){.c = out->data, .c_row = out->width, .m = x->rows, .n = out->width, .k = x->width,
                             .a = by_rows(x->data, x->width), .b = turned(FLOATS(2), x->width), .bias = FLOATS(3),
                             .bent = &bent, .paired = paired});
    return MG_OK;
}

/* Rows of d_x that are made at a time where they are added to others. */
static int64_t activated_linear_backward_workspace(const mg_call *call)
{
    return product_workspace(call) + ROWS * call->array[4].width * (int64_t)sizeof(float);
}

/* d_x = (d_out W) f'(x), or d_x += */
INLINE void activated_linear_backward_x(const mg_call *call, bend slopes, int paired)
{
    const mg_array *d_x = &call->array[0], *d_out = &call->array[3], *x = &call->array[4], *weight = &call->array[5];
    const int64_t n_in = x->width, n_out = d_out->width, most = d_x->set ? x->rows : ROWS;
    float *const room = (float *)((char *)call->workspace + product_workspace(call));
    for (int64_t first = 0; first < x->rows; first += most) {
        const int64_t rows = x->rows - first < most ? x->rows - first : most;
        float *const to = d_x->set ? d_x->data : room;
        const bends bent = {.c = slopes, .x = (float *)x->data + first * n_in, .first = to};
        multiply(call, (product){.c = to, .c_row = n_in, .m = rows, .n = n_in, .k = n_out,
                                 .a = by_rows((float *)d_out->data + first * n_out, n_out),
                                 .b = by_rows(weight->data, n_in), .bent = &bent, .paired = paired});
        if (!d_x->set)
            EACH_VECTOR (i, n, 0, rows * n_in)
                give(d_x, first * n_in + i, get(room + i, n), n);
    }
}

INLINE int activated_linear_backward_as(const mg_call *call, int paired)
{
    const mg_array *d_weight = &call->array[1], *d_out = &call->array[3], *x = &call->array[4];
    const activation *f = &activations[call->attribute[0].integer];
    const bends bent = {.b = f->values};
    if (FLOATS(0))
        activated_linear_backward_x(call, f->slopes, paired);
    if (d_weight->data)
        multiply(call, (product){.c = d_weight->data, .c_row = x->width, .m = d_out->width, .n = x->width, .k = x->rows,
                                 .add = !d_weight->set, .a = turned(d_out->data, d_out->width),
                                 .b = by_rows(x->data, x->width), .bent = &bent, .paired = paired});
    linear_backward_bias(call, &call->array[2], d_out);
    return MG_OK;
}

static int activated_linear_forward(const mg_call *call) { return activated_linear_forward_as(call, 0); }
static int activated_linear_backward(const mg_call *call) { return activated_linear_backward_as(call, 0); }
static int activated_linear_bfloat16_forward(const mg_call *call) { return activated_linear_forward_as(call, 1); }
static int activated_linear_bfloat16_backward(const mg_call *call) { return activated_linear_backward_as(call, 1); }
