/* The rules that move number by number. Formulas: ../updates, files of the same names. */

#include "kernel.h"

static int moved(const mg_call *call, mg_part part)
{
    if (isfinite(FACTOR))
        share(call, call->array[0].size, call->array[0].size, part, (void *)call);
    return MG_OK;
}

static void rmsprop_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *w = FLOATS(0), *v = FLOATS(5), *m = FLOATS(6);
    const float *grad = FLOATS(1);
    const float factor = FACTOR, lr = LR, eps = (float)NUMBER(1), momentum = (float)NUMBER(2);
    const float old = (float)NUMBER(0), fresh = (float)(1 - NUMBER(0));
    (void)worker;
    if (!m)
        for (int64_t i = first; i < last; i++) {
            const float g = factor * grad[i];
            v[i] = old * v[i] + fresh * g * g;
            w[i] -= lr * (g / (sqrtf(v[i]) + eps));
        }
    else
        for (int64_t i = first; i < last; i++) {
            const float g = factor * grad[i];
            v[i] = old * v[i] + fresh * g * g;
            m[i] = momentum * m[i] + g / (sqrtf(v[i]) + eps);
            w[i] -= lr * m[i];
        }
}

int rmsprop_update(const mg_call *call) { return moved(call, rmsprop_part); }

static void adagrad_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *w = FLOATS(0), *v = FLOATS(5);
    const float *grad = FLOATS(1);
    const float factor = FACTOR, lr = LR, eps = (float)NUMBER(0);
    (void)worker;
    for (int64_t i = first; i < last; i++) {
        const float g = factor * grad[i];
        v[i] += g * g;
        w[i] -= lr * (g / (sqrtf(v[i]) + eps));
    }
}

int adagrad_update(const mg_call *call) { return moved(call, adagrad_part); }

static void lion_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *w = FLOATS(0), *m = FLOATS(5);
    const float *grad = FLOATS(1);
    const float factor = FACTOR, lr = LR, keep = (float)(1 - (double)LR * NUMBER(2));
    const float old1 = (float)NUMBER(0), new1 = (float)(1 - NUMBER(0));
    const float old2 = (float)NUMBER(1), new2 = (float)(1 - NUMBER(1));
    (void)worker;
    for (int64_t i = first; i < last; i++) {
        const float g = factor * grad[i], c = old1 * m[i] + new1 * g;
        const float sign = c > 0 ? 1 : c < 0 ? -1 : c; /* 0 and NaN stay */
        w[i] = keep * w[i] - lr * sign;
        m[i] = old2 * m[i] + new2 * g;
    }
}

int lion_update(const mg_call *call) { return moved(call, lion_part); }

static void clip_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    float *grad = FLOATS(1);
    const float most = (float)(NUMBER(0) / fabs((double)FACTOR));
    (void)worker;
    for (int64_t i = first; i < last; i++)
        grad[i] = grad[i] > most ? most : grad[i] < -most ? -most : grad[i]; /* NaN stays */
}

int clip_value(const mg_call *call) { return moved(call, clip_part); }

static void average_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const float *w = FLOATS(0);
    float *average = FLOATS(5);
    const double seen = *FLOATS(6), decay = NUMBER(0);
    const double part = seen <= 1 ? 1 : decay == 1 ? 1 / seen : (1 - decay) / (1 - pow(decay, seen));
    const float fresh = (float)part, old = (float)(1 - part);
    (void)worker;
    for (int64_t i = first; i < last; i++)
        average[i] = fresh * w[i] + old * average[i];
}

int average_update(const mg_call *call)
{
    if (isfinite(FACTOR) && STEP >= NUMBER(1))
        *FLOATS(6) += 1;
    return moved(call, average_part);
}
