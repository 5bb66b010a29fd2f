/* Cross-entropy: loss = scale * sum_t (lse_t - sum_j y_tj z_tj) over the targets that aren't ignored (-1). */

#include "loops.h"

enum { IGNORED = -1 };

/* What the sum of losses is multiplied by; MG_OUT_OF_RANGE for a target that is neither a token nor ignored, MG_WARNED
   where none counts. */
static int check_targets(const mg_call *call, int targets, int64_t vocab_size, const float *scale, double *factor)
{
    const int32_t *ids = INTS(targets);
    const int64_t size = call->array[targets].size;
    int64_t count = 0;
    for (int64_t t = 0; t < size; t++) {
        if (ids[t] < IGNORED || ids[t] >= vocab_size)
            return out_of_range(call, targets, t, ids[t], IGNORED, vocab_size - 1);
        count += ids[t] != IGNORED;
    }
    *factor = scale ? *scale : 1.0 / (double)(count ? count : 1);
    return count ? MG_OK : warned(call, "every target is ignored, so the loss is 0 and nothing is learned");
}

/* The powers of a row, exp(z - top), into y, if there is one; their sum, and that of all but the target's. A target that
   is nearly sure has p - 1 as its gradient, which is minus what the others have: so it keeps all its digits. */
typedef struct {
    float others, sum;
} shares;

static shares powers_beside(float *y, const float *row, float top, int64_t width, int64_t target)
{
    const float others = powers(y, row, top, width, target), hit = y ? y[target] : exp_(splat(row[target] - top))[0];
    return (shares){others, others + hit};
}

static void cross_entropy_forward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const float *logits = FLOATS(1);
    const int32_t *targets = INTS(2);
    double *losses = call->workspace; /* one a row, so that their sum has one order */
    const int64_t width = call->array[1].width;
    const double smoothing = call->attribute[0].number;
    for (int64_t t = first; t < last; t++) {
        const float *row = logits + t * width;
        losses[t] = 0;
        if (targets[t] == IGNORED)
            continue;
        const float top = largest(row, width);
        double lse = (double)top + log_(splat(powers_beside(0, row, top, width, targets[t]).sum))[0];
        double smooth = smoothing ? smoothing * (lse - total(row, width) / (double)width) : 0;
        losses[t] = (1 - smoothing) * (lse - row[targets[t]]) + smooth;
    }
}

static int64_t cross_entropy_forward_workspace(const mg_call *call) { return call->array[1].rows * (int64_t)sizeof(double); }

static int cross_entropy_forward(const mg_call *call)
{
    const int64_t rows = call->array[1].rows, width = call->array[1].width;
    double factor, sum = 0;
    int code = check_targets(call, 2, width, FLOATS(3), &factor);
    if (code == MG_OUT_OF_RANGE)
        return code;
    share_rows(call, rows, width, cross_entropy_forward_part);
    for (int64_t t = 0; t < rows; t++)
        sum += ((double *)call->workspace)[t];
    *FLOATS(0) = (float)(sum * factor);
    return code;
}

static void cross_entropy_backward_part(void *job, int64_t first, int64_t last, int worker)
{
    const mg_call *call = job;
    const mg_array *d_logits = &call->array[0];
    const float *logits = FLOATS(2);
    const int32_t *targets = INTS(3);
    const int64_t width = call->array[2].width;
    const double factor = *(double *)call->workspace, smoothing = call->attribute[0].number;
    const vf rest = splat((float)(factor * smoothing / (double)width));
    for (int64_t t = first; t < last; t++) {
        const float *row = logits + t * width;
        float *d = (float *)d_logits->data + t * width;
        if (targets[t] == IGNORED) {
            if (d_logits->set)
                memset(d, 0, (size_t)width * sizeof(float));
            continue;
        }
        const float top = largest(row, width);
        const shares p = powers_beside(0, row, top, width, targets[t]);
        const vf share = splat((float)(factor / p.sum));
        const float before = d[targets[t]];
        EACH_VECTOR (i, n, 0, width)
            give(d_logits, t * width + i, share * exp_(get(row + i, n) - splat(top)) - rest, n);
        const float rise = (float)(factor * smoothing) - rest[0] - share[0] * p.others;
        d[targets[t]] = d_logits->set ? rise : before + rise;
    }
}

static int64_t cross_entropy_backward_workspace(const mg_call *call) { return sizeof(double); }

static int cross_entropy_backward(const mg_call *call)
{
    double factor;
    int code = check_targets(call, 3, call->array[2].width, FLOATS(4), &factor);
    if (code == MG_OUT_OF_RANGE)
        return code;
    if (!FLOATS(0))
        return MG_OK;
    *(double *)call->workspace = factor * *FLOATS(1);
    share_rows(call, call->array[2].rows, call->array[2].width, cross_entropy_backward_part);
    return MG_OK;
}
