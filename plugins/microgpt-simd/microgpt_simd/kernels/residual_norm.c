/* A sum and its norm, a row at a time: see rmsnorm.c and layernorm.c, whose norms these are. */

INLINE void add_row(float *sum, const float *a, const float *b, int64_t width)
{
    EACH_VECTOR (i, n, 0, width)
        put(sum + i, get(a + i, n) + get(b + i, n), n);
}

static void add_rmsnorm_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *sum = FLOATS(0), *out = FLOATS(1), *rstd = FLOATS(2);
    const float *a = FLOATS(3), *b = FLOATS(4), *weight = FLOATS(5);
    const int64_t width = call->array[0].width;
    const float eps = (float)call->attribute[0].number;
    for (int64_t t = first; t < last; t++) {
        float *row = sum + t * width;
        add_row(row, a + t * width, b + t * width, width);
        rstd[t] = rmsnorm_row(out + t * width, row, weight, width, eps);
    }
}

static int add_rmsnorm_forward(const mg_call *call)
{
    share_rows(call, call->array[0].rows, call->array[0].width, add_rmsnorm_part);
    return MG_OK;
}

static void add_layernorm_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *sum = FLOATS(0), *out = FLOATS(1), *mean = FLOATS(2), *rstd = FLOATS(3);
    const float *a = FLOATS(4), *b = FLOATS(5), *weight = FLOATS(6), *bias = FLOATS(7);
    const int64_t width = call->array[0].width;
    const float eps = (float)call->attribute[0].number;
    for (int64_t t = first; t < last; t++) {
        float *row = sum + t * width;
        add_row(row, a + t * width, b + t * width, width);
        rstd[t] = layernorm_row(out + t * width, mean + t, row, weight, bias, width, eps);
    }
}

static int add_layernorm_forward(const mg_call *call)
{
    share_rows(call, call->array[0].rows, call->array[0].width, add_layernorm_part);
    return MG_OK;
}
