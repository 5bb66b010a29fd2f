/* Cross-entropy: loss = scale * sum_t (lse_t - sum_j y_tj z_tj) over the targets that aren't ignored (-1).

   Rows of few classes, such as characters, are computed LANES at a time, on their side; long ones one by one. */

#include "functions.h"
#include "loops.h"
#include "side.h"

enum { IGNORED = -1 };
enum { FEW_CLASSES = 128 };

typedef struct { /* rows of logits, and what becomes of them */
    const float *logits;
    const int32_t *targets;
    double *losses; /* NULL, or one a row, so that their sum has one order */
    float *d;       /* NULL, or the gradients: written, be it over the logits, or added to */
    int set;
    int64_t width;
    double factor, smoothing;
} loss_rows;

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

/* A row's loss, from the log of the sum of its powers, the target's logit, and the sum of all where that counts. */
INLINE double row_loss(const loss_rows *l, double lse, double hit, double sum)
{
    return (1 - l->smoothing) * (lse - hit) + (l->smoothing ? l->smoothing * (lse - sum / (double)l->width) : 0);
}

/* d = factor (p - y), with y = smoothing / width, and 1 - smoothing more for the target. A target that is nearly sure has
   p - 1, which is minus what the others have: from these it is computed, so that it keeps its digits. */

static void losses_of_few(const loss_rows *l, int64_t first, int64_t n) /* LANES rows or fewer */
{
    const int64_t width = l->width;
    float z[FEW_CLASSES * LANES], top_at[LANES], log_at[LANES], hit_at[LANES], total_at[LANES];
    int32_t ids[LANES];
    for (int64_t i = 0; i < LANES; i++)
        ids[i] = i < n ? l->targets[first + i] : IGNORED;
    const vi target = *(const vi_anywhere *)ids;
    on_side(z, LANES, l->logits + first * width, width, n, width);
    vf top = splat(-INFINITY), hit = {0};
    for (int64_t c = 0; c < width; c++) {
        const vf x = load(z + c * LANES);
        top = larger(x, top);
        hit = choose(target == splat_int((int32_t)c), x, hit);
    }
    long_sum others = {0}, all = {0};
    for (int64_t c = 0; c < width; c++) {
        const vf x = load(z + c * LANES), p = exp_(x - top);
        if (l->smoothing)
            add_term(&all, x);
        add_term(&others, choose(target == splat_int((int32_t)c), (vf){0}, p));
        store(z + c * LANES, p);
    }
    const vf rest = each_lane(&others), sum = rest + exp_(hit - top);
    if (l->losses) {
        store(top_at, top), store(log_at, log_(sum)), store(hit_at, hit), store(total_at, each_lane(&all));
        for (int64_t i = 0; i < n; i++) {
            const double loss = row_loss(l, (double)top_at[i] + log_at[i], hit_at[i], total_at[i]);
            l->losses[first + i] = ids[i] == IGNORED ? 0 : loss;
        }
    }
    if (l->d) {
        const vf share = splat((float)l->factor) / sum, even = splat((float)(l->factor * l->smoothing / (double)width));
        const vf of_target = splat((float)(l->factor * l->smoothing)) - even - share * rest;
        for (int64_t c = 0; c < width; c++) {
            const vf d = choose(target == splat_int((int32_t)c), of_target, share * load(z + c * LANES) - even);
            store(z + c * LANES, choose(target >= (vi){0}, d, (vf){0}));
        }
        off_side(l->d + first * width, width, n, z, LANES, width, !l->set);
    }
}

static void loss_of_many(const loss_rows *l, int64_t t)
{
    const int64_t width = l->width;
    const float *row = l->logits + t * width;
    float *d = l->d ? l->d + t * width : 0;
    const int32_t target = l->targets[t];
    if (target == IGNORED) {
        if (l->losses)
            l->losses[t] = 0;
        if (d && l->set)
            memset(d, 0, (size_t)width * sizeof(float));
        return;
    }
    const float top = largest(row, width), hit = row[target];
    const double sum_of_all = l->smoothing ? total(row, width) : 0;
    float *const powers_at = l->set ? d : 0; /* they are needed again */
    const float others = powers(powers_at, row, top, width, target), sum = others + exp_(splat(hit - top))[0];
    if (l->losses)
        l->losses[t] = row_loss(l, (double)top + log_(splat(sum))[0], hit, sum_of_all);
    if (!d)
        return;
    const vf share = splat((float)(l->factor / sum)), even = splat((float)(l->factor * l->smoothing / (double)width));
    const float rise = (float)(l->factor * l->smoothing) - even[0] - share[0] * others;
    const float of_target = l->set ? rise : d[target] + rise;
    EACH_VECTOR (i, n, 0, width) {
        const vf power = powers_at ? get(d + i, n) : exp_(get(row + i, n) - splat(top));
        put(d + i, l->set ? share * power - even : get(d + i, n) + (share * power - even), n);
    }
    d[target] = of_target;
}

static void compute_losses(void *job, int64_t first, int64_t last, int worker)
{
    const loss_rows *l = job;
    if (l->width > FEW_CLASSES)
        for (int64_t t = first; t < last; t++)
            loss_of_many(l, t);
    else
        for (int64_t t = first; t < last; t += LANES)
            losses_of_few(l, t, last - t < LANES ? last - t : LANES);
}

static int64_t cross_entropy_forward_workspace(const mg_call *call) { return call->array[1].rows * (int64_t)sizeof(double); }

static int cross_entropy_forward(const mg_call *call)
{
    const int64_t rows = call->array[1].rows, width = call->array[1].width;
    loss_rows l = {.logits = FLOATS(1), .targets = INTS(2), .losses = call->workspace, .width = width,
                   .smoothing = call->attribute[0].number};
    const int code = check_targets(call, 2, width, FLOATS(3), &l.factor);
    if (code == MG_OUT_OF_RANGE)
        return code;
    share_rows_of(call, rows, width, compute_losses, &l);
    double sum = 0;
    for (int64_t t = 0; t < rows; t++)
        sum += l.losses[t];
    *FLOATS(0) = (float)(sum * l.factor);
    return code;
}

static int cross_entropy_backward(const mg_call *call)
{
    const int64_t rows = call->array[2].rows, width = call->array[2].width;
    loss_rows l = {.logits = FLOATS(2), .targets = INTS(3), .d = FLOATS(0), .set = call->array[0].set, .width = width,
                   .smoothing = call->attribute[0].number};
    const int code = check_targets(call, 3, width, FLOATS(4), &l.factor);
    if (code == MG_OUT_OF_RANGE || !l.d)
        return code == MG_OUT_OF_RANGE ? code : MG_OK; /* forward has warned */
    l.factor *= *FLOATS(1);
    share_rows_of(call, rows, width, compute_losses, &l);
    return MG_OK;
}
