/* Positions without weights: RoPE turns pairs of numbers by an angle, sinusoidal positions are added. */

#include "loops.h"

static int64_t rope_workspace(const mg_call *call)
{
    const int64_t half = call->array[1].shape[2] / call->attribute[0].integer / 2;
    return (1 + call->team->threads) * half * (int64_t)sizeof(double); /* speeds; cosines and sines of each worker */
}

INLINE void turn_rows(const mg_call *call, const mg_array *to, const float *x, const int32_t *positions, int sign, int64_t first, int64_t last, int worker)
{
    const int64_t channels = call->array[1].shape[2], half = channels / call->attribute[0].integer / 2;
    const double *speeds = call->workspace;
    float *cosines = (float *)(speeds + (1 + worker) * half), *sines = cosines + half;
    for (int64_t t = first; t < last; t++) {
        for (int64_t i = 0; i < half; i++) {
            double angle = positions[t] * speeds[i];
            cosines[i] = (float)cos(angle);
            sines[i] = (float)(sign * sin(angle));
        }
        for (int64_t low = t * channels; low < (t + 1) * channels; low += 2 * half)
            EACH_VECTOR (i, n, 0, half) {
                vf a = get(x + low + i, n), b = get(x + low + half + i, n);
                vf c = get(cosines + i, n), s = get(sines + i, n);
                give(to, low + i, a * c - b * s, n);
                give(to, low + half + i, a * s + b * c, n);
            }
    }
}

static void rope_speeds(const mg_call *call)
{
    const int64_t half = call->array[1].shape[2] / call->attribute[0].integer / 2;
    for (int64_t i = 0; i < half; i++)
        ((double *)call->workspace)[i] = pow(call->attribute[1].number, -(double)i / (double)half);
}

static void rope_forward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    mg_array out = call->array[0];
    out.set = 1;
    turn_rows(call, &out, FLOATS(1), INTS(2), 1, first, last, worker);
}

static int rope_forward(const mg_call *call)
{
    rope_speeds(call);
    share_rows(call, call->array[1].rows, call->array[1].width, rope_forward_part);
    return MG_OK;
}

static void rope_backward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    turn_rows(call, &call->array[0], FLOATS(1), INTS(2), -1, first, last, worker);
}

static int rope_backward(const mg_call *call)
{
    if (!FLOATS(0))
        return MG_OK;
    rope_speeds(call);
    share_rows(call, call->array[1].rows, call->array[1].width, rope_backward_part);
    return MG_OK;
}

static int64_t sinusoidal_forward_workspace(const mg_call *call) { return call->array[1].width * (int64_t)sizeof(double); }

static void sinusoidal_forward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const double *speeds = call->workspace;
    const int64_t width = call->array[1].width;
    for (int64_t t = first; t < last; t++)
        for (int64_t i = 0; i < width; i++) {
            double angle = INTS(2)[t] * speeds[i];
            FLOATS(0)[t * width + i] = FLOATS(1)[t * width + i] + (float)(i % 2 ? cos(angle) : sin(angle));
        }
}

static int sinusoidal_forward(const mg_call *call)
{
    const int64_t width = call->array[1].width;
    for (int64_t i = 0; i < width; i++)
        ((double *)call->workspace)[i] = pow(10000.0, -(double)(i - i % 2) / (double)width);
    share_rows(call, call->array[1].rows, width, sinusoidal_forward_part);
    return MG_OK;
}

static void sinusoidal_backward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    EACH_VECTOR (i, n, first * BLOCK, block_end(last, call->array[0].size))
        give(&call->array[0], i, get(FLOATS(1) + i, n), n);
}

static int sinusoidal_backward(const mg_call *call)
{
    if (FLOATS(0))
        share_numbers(call, call->array[0].size, sinusoidal_backward_part);
    return MG_OK;
}
