/* Causal self-attention, tile by tile of keys (Dao et al. 2022, arXiv:2205.14135), the same as the reference:

       p_ts = exp(a q_t . k_s - lse_t)     out_t = sum_s p_ts v_s     lse_t = log sum_s exp(a q_t . k_s)

   A vector holds one number of LANES queries: their scores with a key take a broadcast of that key's numbers, the
   highest score and the sum of a query need no look at other lanes, and heads may be as narrow as they like.
   Per group of LANES queries, columns of q and of the output lie in scratch turned on their side, (width, LANES). */

#include "functions.h"
#include "loops.h"
#include "product.h"
#include "side.h"

enum { KEYS = 64 };         /* in a tile, counted from the first row of k, so that a query's sums have one order */
enum { WIDTH_AT_ONCE = 8 }; /* columns of the output that are in registers together */

typedef struct { /* what all groups of queries have in common */
    const float *q, *k, *v;
    const int32_t *positions, *start;
    int64_t batch, length, room, channels, kv_channels, n_head, n_kv_head, width, window;
    float scale;
} sight;

static sight look(const mg_call *call, int q)
{
    const mg_array *a = call->array + q;
    const int64_t n_head = call->attribute[0].integer, width = a[0].shape[2] / n_head;
    return (sight){
        .q = a[0].data, .k = a[1].data, .v = a[2].data, .positions = a[3].data, .start = a[4].data,
        .batch = a[0].shape[0], .length = a[0].shape[1], .room = a[1].shape[1],
        .channels = a[0].shape[2], .kv_channels = a[1].shape[2], .n_head = n_head,
        .n_kv_head = a[1].shape[2] / width, .width = width,
        .window = call->attribute[1].given ? call->attribute[1].integer : INT32_MAX,
        .scale = (float)(1 / sqrt((double)width)),
    };
}

static int check_sight(const mg_call *call, int q, const sight *s)
{
    for (int64_t b = 0; b < s->batch; b++) {
        const int64_t at = s->start ? s->start[b] : 0;
        if (at < 0 || at > s->room - s->length)
            return out_of_range(call, q + 4, b, at, 0, s->room - s->length);
        for (int64_t t = 0; s->positions && t < s->length; t++) {
            const int64_t position = s->positions[b * s->length + t];
            if (position < 0 || position > at + t)
                return out_of_range(call, q + 3, b * s->length + t, position, 0, at + t);
        }
    }
    return MG_OK;
}

typedef struct { /* LANES queries of one head of one sequence, n of them real: rows of k from low to high, both seen */
    int64_t b, head, first, n;
    vi low, high;
    int64_t from, to; /* the lowest of low, the highest of high + 1 */
    int64_t all_from, all_to; /* keys that all of them see */
} group;

static group take_group(const sight *s, int64_t b, int64_t head, int64_t first)
{
    group g = {.b = b, .head = head, .first = first, .from = INT64_MAX, .to = 0, .all_from = 0, .all_to = INT64_MAX};
    int32_t lows[LANES], highs[LANES];
    g.n = s->length - first < LANES ? s->length - first : LANES;
    for (int64_t i = g.n; i < LANES; i++)
        lows[i] = INT32_MAX, highs[i] = -1;
    for (int64_t i = 0; i < g.n; i++) {
        const int64_t t = first + i, at = (s->start ? s->start[b] : 0) + t;
        int64_t low = s->positions ? at - s->positions[b * s->length + t] : 0;
        low = at - s->window + 1 > low ? at - s->window + 1 : low;
        lows[i] = (int32_t)low;
        highs[i] = (int32_t)at;
        g.from = low < g.from ? low : g.from;
        g.to = at + 1 > g.to ? at + 1 : g.to;
        g.all_from = low > g.all_from ? low : g.all_from;
        g.all_to = at + 1 < g.all_to ? at + 1 : g.all_to;
    }
    if (g.n < LANES)
        g.all_to = 0; /* lanes without a query see nothing */
    g.low = *(const vi_anywhere *)lows;
    g.high = *(const vi_anywhere *)highs;
    return g;
}

/* to[s] = sum_d side[d] row_s[d] for n rows: a number of each query for each key. */
INLINE void against_rows(float *to, const float *side, const float *rows, int64_t stride, int64_t n, int64_t width)
{
    int64_t s = 0;
    for (; s + 8 <= n; s += 8) {
        vf sum[8];
        const float *row = rows + s * stride;
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            sum[i] = (vf){0};
        for (int64_t d = 0; d < width; d++) {
            const vf x = load(side + d * LANES);
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++)
                sum[i] = fma_(x, splat(row[i * stride + d]), sum[i]);
        }
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            store(to + (s + i) * LANES, sum[i]);
    }
    for (; s < n; s++) {
        vf sum = {0};
        for (int64_t d = 0; d < width; d++)
            sum = fma_(load(side + d * LANES), splat(rows[s * stride + d]), sum);
        store(to + s * LANES, sum);
    }
}

/* side[d] = fade side[d] + sum_s weight[s] row_s[d], d from j to j + count - 1. */
INLINE void blend_columns(
    float *side, vf fade, const float *weights, const float *rows, int64_t stride, int64_t n, int64_t j, const int count)
{
    vf sum[WIDTH_AT_ONCE];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        sum[i] = load(side + (j + i) * LANES) * fade;
    for (int64_t s = 0; s < n; s++) {
        const vf weight = load(weights + s * LANES);
#pragma GCC unroll 8
        for (int i = 0; i < count; i++)
            sum[i] = fma_(weight, splat(rows[s * stride + j + i]), sum[i]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        store(side + (j + i) * LANES, sum[i]);
}

INLINE void blend(float *side, vf fade, const float *weights, const float *rows, int64_t stride, int64_t n, int64_t width)
{
    int64_t j = 0;
    for (; j + 8 <= width; j += 8)
        blend_columns(side, fade, weights, rows, stride, n, j, 8);
    for (; j + 4 <= width; j += 4)
        blend_columns(side, fade, weights, rows, stride, n, j, 4);
    for (; j < width; j++)
        blend_columns(side, fade, weights, rows, stride, n, j, 1);
}

/* The same where a row that a query doesn't see holds infinity or NaN, which 0 times wouldn't hide. */
static void blend_seen(
    float *side, vf fade, const float *weights, const float *rows, int64_t stride, int64_t n, int64_t width,
    const group *g, int64_t first)
{
    for (int64_t d = 0; d < width; d++) {
        vf sum = load(side + d * LANES) * fade;
        for (int64_t s = 0; s < n; s++) {
            const vi key = splat_int((int32_t)(first + s));
            const vf more = fma_(load(weights + s * LANES), splat(rows[s * stride + d]), sum);
            sum = choose((key >= g->low) & (key <= g->high), more, sum);
        }
        store(side + d * LANES, sum);
    }
}

static int all_finite(const float *rows, int64_t stride, int64_t n, int64_t width)
{
    vf zero = {0};
    for (int64_t s = 0; s < n; s++)
        EACH_VECTOR (i, m, 0, width) {
            const vf x = get(rows + s * stride + i, m);
            zero += x - x;
        }
    for (int i = 0; i < LANES; i++)
        if (!(zero[i] == 0))
            return 0;
    return 1;
}

/* The scores of n keys from `first` on, minus infinity where a query doesn't see the key. */
INLINE void score(float *scores, const float *q_side, const float *keys, const sight *s, const group *g, int64_t first, int64_t n)
{
    const vf scale = splat(s->scale);
    against_rows(scores, q_side, keys, s->kv_channels, n, s->width);
    for (int64_t i = 0; i < n; i++) {
        const vi key = splat_int((int32_t)(first + i));
        vf x = load(scores + i * LANES) * scale;
        if (first + i < g->all_from || first + i >= g->all_to)
            x = choose((key >= g->low) & (key <= g->high), x, splat(-INFINITY));
        store(scores + i * LANES, x);
    }
}

static int64_t group_scratch(int64_t width, int sides, int tiles) { return (sides * width + tiles * KEYS) * LANES; }

static int64_t attention_forward_workspace(const mg_call *call)
{
    const int64_t width = call->array[2].shape[2] / call->attribute[0].integer;
    return call->team->threads * group_scratch(width, 2, 1) * (int64_t)sizeof(float);
}

static void attention_forward_part(void *job, int64_t first, int64_t last, int worker) /* heads of sequences */
{
    const mg_call *call = job;
    const sight s = look(call, 2);
    float *q_side = (float *)call->workspace + worker * group_scratch(s.width, 2, 1);
    float *out_side = q_side + s.width * LANES, *scores = out_side + s.width * LANES;
    for (int64_t item = first; item < last; item++) {
        const int64_t b = item / s.n_head, head = item % s.n_head, kv_head = head / (s.n_head / s.n_kv_head);
        const float *k = s.k + b * s.room * s.kv_channels + kv_head * s.width;
        const float *v = s.v + b * s.room * s.kv_channels + kv_head * s.width;
        for (int64_t t = 0; t < s.length; t += LANES) {
            const group g = take_group(&s, b, head, t);
            const int64_t at = (b * s.length + t) * s.channels + head * s.width;
            on_side(q_side, s.q + at, s.channels, g.n, s.width);
            memset(out_side, 0, (size_t)(s.width * LANES) * sizeof(float));
            vf top = splat(-INFINITY), sum = {0};
            for (int64_t tile = g.from / KEYS * KEYS; tile < g.to; tile += KEYS) {
                const int64_t from = tile > g.from ? tile : g.from, to = tile + KEYS < g.to ? tile + KEYS : g.to, n = to - from;
                score(scores, q_side, k + from * s.kv_channels, &s, &g, from, n);
                vf higher = top;
                for (int64_t i = 0; i < n; i++)
                    higher = larger(load(scores + i * LANES), higher);
                const vf base = choose(higher == splat(-INFINITY), (vf){0}, higher); /* nothing seen so far */
                const vf fade = exp_(top - base);
                vf more = {0};
                for (int64_t i = 0; i < n; i++) {
                    const vf p = exp_(load(scores + i * LANES) - base);
                    more += p;
                    store(scores + i * LANES, p);
                }
                sum = fma_(sum, fade, more);
                top = higher;
                const float *values = v + from * s.kv_channels;
                if ((from >= g.all_from && to <= g.all_to) || all_finite(values, s.kv_channels, n, s.width))
                    blend(out_side, fade, scores, values, s.kv_channels, n, s.width);
                else
                    blend_seen(out_side, fade, scores, values, s.kv_channels, n, s.width, &g, from);
            }
            const vf share = splat(1.0f) / sum;
            for (int64_t d = 0; d < s.width; d++)
                store(out_side + d * LANES, load(out_side + d * LANES) * share);
            off_side(FLOATS(0) + at, s.channels, g.n, out_side, s.width, 0);
            float lse[LANES];
            store(lse, top + log_(sum));
            for (int64_t i = 0; i < g.n; i++)
                FLOATS(1)[(b * s.length + t + i) * s.n_head + head] = lse[i];
        }
    }
}

static int attention_forward(const mg_call *call)
{
    const sight s = look(call, 2);
    const int code = check_sight(call, 2, &s);
    if (!code)
        share_rows(call, s.batch * s.n_head, s.length * s.room * s.width / 4, attention_forward_part);
    return code;
}

static int64_t attention_backward_workspace(const mg_call *call)
{
    const int64_t width = call->array[6].shape[2] / call->attribute[0].integer;
    return call->team->threads * group_scratch(width, 3, 2) * (int64_t)sizeof(float);
}

/* d_rows[s] += sum_t weight[s][t] row_t, n keys and m queries: the product of product.h, in tiles. */
INLINE void spread(float *d_rows, int64_t stride, const float *weights, int64_t n, const float *rows, int64_t row, int64_t m, int64_t width)
{
    const int64_t vectors = pieces(width, LANES);
    for (int64_t v0 = 0; v0 < vectors; v0 += MOST_VECTORS) {
        const int64_t nv = vectors - v0 < MOST_VECTORS ? vectors - v0 : MOST_VECTORS, end = (v0 + nv) * LANES;
        tile t = {.k = m, .b = rows + v0 * LANES, .b_row = row, .c_row = stride, .add = 1,
                  .last = end > width ? (int)(LANES - (end - width)) : LANES};
        const cut strips = cut_up(n, most_rows[nv]);
        for (int64_t i = 0; i < strips.count; i++) {
            const int64_t first = piece(strips, i);
            t.a = (matrix){weights + first * LANES, LANES, 1};
            t.c = d_rows + first * stride + v0 * LANES;
            tiles[t.last < LANES][nv][piece(strips, i + 1) - first](&t);
        }
    }
}

static void attention_backward_part(void *job, int64_t first, int64_t last, int worker) /* heads of k of sequences */
{
    const mg_call *call = job;
    const sight s = look(call, 6);
    const float *d_out = FLOATS(3), *out = FLOATS(4), *lse = FLOATS(5);
    float *q_side = (float *)call->workspace + worker * group_scratch(s.width, 3, 2);
    float *d_side = q_side + s.width * LANES, *d_q_side = d_side + s.width * LANES;
    float *weights = d_q_side + s.width * LANES, *errors = weights + KEYS * LANES;
    const int64_t shared = s.n_head / s.n_kv_head;
    for (int64_t item = first; item < last; item++) {
        const int64_t b = item / s.n_kv_head, kv_head = item % s.n_kv_head;
        const int64_t kv = b * s.room * s.kv_channels + kv_head * s.width;
        for (int64_t head = kv_head * shared; head < (kv_head + 1) * shared; head++)
            for (int64_t t = 0; t < s.length; t += LANES) {
                const group g = take_group(&s, b, head, t);
                const int64_t at = (b * s.length + t) * s.channels + head * s.width;
                on_side(q_side, s.q + at, s.channels, g.n, s.width);
                on_side(d_side, d_out + at, s.channels, g.n, s.width);
                on_side(d_q_side, out + at, s.channels, g.n, s.width); /* for a moment */
                vf mean = {0};
                float base_lanes[LANES] = {0};
                for (int64_t d = 0; d < s.width; d++)
                    mean = fma_(load(d_side + d * LANES), load(d_q_side + d * LANES), mean);
                for (int64_t i = 0; i < g.n; i++)
                    base_lanes[i] = lse[(b * s.length + t + i) * s.n_head + head];
                const vf base = load(base_lanes);
                memset(d_q_side, 0, (size_t)(s.width * LANES) * sizeof(float));
                for (int64_t tile = g.from / KEYS * KEYS; tile < g.to; tile += KEYS) {
                    const int64_t from = tile > g.from ? tile : g.from, to = tile + KEYS < g.to ? tile + KEYS : g.to, n = to - from;
                    const int64_t rows = kv + from * s.kv_channels;
                    score(weights, q_side, s.k + rows, &s, &g, from, n);
                    against_rows(errors, d_side, s.v + rows, s.kv_channels, n, s.width);
                    for (int64_t i = 0; i < n; i++) {
                        const vf p = exp_(load(weights + i * LANES) - base);
                        store(weights + i * LANES, p);
                        store(errors + i * LANES, splat(s.scale) * p * (load(errors + i * LANES) - mean));
                    }
                    if (FLOATS(0))
                        blend(d_q_side, splat(1.0f), errors, s.k + rows, s.kv_channels, n, s.width);
                    if (FLOATS(1))
                        spread(FLOATS(1) + rows, s.kv_channels, errors, n, s.q + at, s.channels, g.n, s.width);
                    if (FLOATS(2))
                        spread(FLOATS(2) + rows, s.kv_channels, weights, n, d_out + at, s.channels, g.n, s.width);
                }
                if (FLOATS(0))
                    off_side(FLOATS(0) + at, s.channels, g.n, d_q_side, s.width, !call->array[0].set);
            }
    }
}

static int attention_backward(const mg_call *call)
{
    const sight s = look(call, 6);
    const int code = check_sight(call, 6, &s);
    if (code)
        return code;
    for (int i = 1; i < 3; i++)
        if (FLOATS(i) && call->array[i].set)
            memset(FLOATS(i), 0, (size_t)call->array[i].size * sizeof(float));
    share_rows(call, s.batch * s.n_kv_head, s.length * s.room * s.width / 2, attention_backward_part);
    return MG_OK;
}
