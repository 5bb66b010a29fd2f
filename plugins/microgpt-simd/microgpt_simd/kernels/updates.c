/* How parameters move: SGD, Adam, AdamW; and the norm and the factor of clipping. Nothing moves where the factor isn't
   finite. */

#include "long_sum.h"
#include "loops.h"

static int global_norm_forward(const mg_call *call)
{
    const float *grads = FLOATS(1);
    double sum = 0;
    for (int64_t from = 0, size = call->array[1].size; from < size; from += TERMS * LANES) {
        const int64_t to = from + TERMS * LANES < size ? from + TERMS * LANES : size;
        vf part[4] = {{0}, {0}, {0}, {0}}; /* or each would wait for the one before */
        int64_t i = from;
        for (; i + 4 * LANES <= to; i += 4 * LANES)
#pragma GCC unroll 4
            for (int c = 0; c < 4; c++) {
                const vf x = load(grads + i + c * LANES);
                part[c] = fma_(x, x, part[c]);
            }
        EACH_VECTOR (rest, n, i, to)
            part[0] = fma_(get(grads + rest, n), get(grads + rest, n), part[0]);
        sum += sum_lanes(part[0] + part[1] + (part[2] + part[3])); /* a double, which may be larger than any float */
    }
    *FLOATS(0) = (float)sqrt(sum);
    return MG_OK;
}

static int clip_factor_forward(const mg_call *call)
{
    const float norm = *FLOATS(1);
    const double max_norm = call->attribute[0].number;
    *FLOATS(0) = !isfinite(norm) ? NAN : norm <= max_norm ? 1.0f : (float)(max_norm / norm);
    return MG_OK;
}

static void adam_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *w = FLOATS(0), *m = FLOATS(5), *v = FLOATS(6);
    const float *grad = FLOATS(1);
    const double factor = *FLOATS(2), lr = *FLOATS(3), t = *FLOATS(4) + 1.0;
    const double beta1 = call->attribute[0].number, beta2 = call->attribute[1].number, eps = call->attribute[2].number;
    const double decay = lr * call->attribute[3].number; /* an Adam without decay gets 0 here */
    const double unbias = sqrt(1 - pow(beta2, t));       /* both bias corrections, moved out of the loop */
    const vf rate = splat((float)(lr * unbias / (1 - pow(beta1, t)))), floor = splat((float)(eps * unbias));
    const vf old1 = splat((float)beta1), new1 = splat((float)(1 - beta1));
    const vf old2 = splat((float)beta2), new2 = splat((float)(1 - beta2));
    const vf scale = splat((float)factor), keep = splat((float)(1 - decay));
    EACH_VECTOR (i, n, first * BLOCK, block_end(last, call->array[0].size)) {
        vf g = scale * get(grad + i, n); /* first, since factor squared may be too small for a float */
        vf mean = fma_(old1, get(m + i, n), new1 * g);
        vf square = fma_(old2, get(v + i, n), new2 * g * g);
        put(w + i, keep * get(w + i, n) - rate * mean / (root(square) + floor), n);
        put(m + i, mean, n);
        put(v + i, square, n);
    }
}

static int adamw_update_forward(const mg_call *call)
{
    if (isfinite(*FLOATS(2)))
        share_numbers(call, call->array[0].size, adam_part);
    return MG_OK;
}

static int adam_update_forward(const mg_call *call) { return adamw_update_forward(call); }

static void sgd_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *w = FLOATS(0), *m = FLOATS(5);
    const float *grad = FLOATS(1);
    const vf factor = splat(*FLOATS(2)), lr = splat(*FLOATS(3)), momentum = splat((float)call->attribute[0].number);
    const int nesterov = call->attribute[1].integer != 0;
    EACH_VECTOR (i, n, first * BLOCK, block_end(last, call->array[0].size)) {
        vf move = factor * get(grad + i, n);
        if (m) {
            vf velocity = fma_(momentum, get(m + i, n), move);
            put(m + i, velocity, n);
            move = nesterov ? fma_(momentum, velocity, move) : velocity;
        }
        put(w + i, get(w + i, n) - lr * move, n);
    }
}

static int sgd_update_forward(const mg_call *call)
{
    if (isfinite(*FLOATS(2)))
        share_numbers(call, call->array[0].size, sgd_part);
    return MG_OK;
}
