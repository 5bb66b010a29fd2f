/* Attention tile by tile of keys (Dao et al. 2022, arXiv:2205.14135), so that what it holds grows with the rows only.

   A vector holds one number of LANES queries: their scores with a key take a broadcast of that key's numbers, the
   highest score and the sum of a query need no look at other lanes, and heads may be as narrow as they like.
   Per group of LANES queries, columns of q and of the output lie in scratch turned on their side, (width, LANES). */

enum { KEYS = 64 };         /* in a tile, counted from the first row of k, so that a query's sums have one order */
enum { SUMS = LANES < 16 ? 8 : 16 }; /* keys, or columns of the output, that are in registers together */

typedef struct { /* LANES queries of one head of one sequence, n of them real: rows of k from low to high, both seen */
    int64_t b, head, first, n;
    vi low, high;
    int64_t from, to; /* the lowest of low, the highest of high + 1 */
    int64_t all_from, all_to; /* keys that all of them see */
} group;

static group take_group(const sight *s, int64_t b, int64_t head, int64_t first)
{
    const int64_t own = (s->start ? s->start[b] : 0) + first; /* the row of k that the first one ends at */
    group g = {.b = b, .head = head, .first = first};
    g.n = s->length - first < LANES ? s->length - first : LANES;
    g.high = splat_int((int32_t)own) + lane_numbers();
    g.low = g.high - splat_int((int32_t)s->window - 1);
    if (s->positions) {
        int32_t positions[LANES] = {0};
        memcpy(positions, s->positions + b * s->length + first, (size_t)g.n * sizeof *positions);
        g.low = larger_int(g.low, g.high - *(const vi_anywhere *)positions);
    }
    g.low = larger_int(g.low, (vi){0});
    const vi real = lane_numbers() < splat_int((int32_t)g.n);
    g.from = -largest_int_lane(choose_int(real, -g.low, splat_int(INT32_MIN)));
    g.all_from = largest_int_lane(choose_int(real, g.low, splat_int(0)));
    g.to = own + g.n;
    g.all_to = g.n < LANES ? 0 : own + 1; /* lanes without a query see nothing */
    g.low = choose_int(real, g.low, splat_int(INT32_MAX));
    g.high = choose_int(real, g.high, splat_int(-1));
    return g;
}

/* The two products are functions of their own: inlined into their caller, where exp's coefficients take the
   registers, a sum went to memory and back for each number. */

/* to[s] = sum_d side[d] row_s[d] for `count` rows: a number of each query for each key. Where they are pairs of bfloat16,
   here and below, a pair takes the place of a number. */
INLINE void against_some(
    float *to, const float *side, const float *row, int64_t stride, int64_t width, const int count, const int paired)
{
    vf sum[SUMS];
#pragma GCC unroll 16
    for (int i = 0; i < count; i++)
        sum[i] = (vf){0};
    for (int64_t d = 0; d < width; d++) {
        const vf x = load(side + d * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < count; i++)
            sum[i] = times(x, splat(row[i * stride + d]), sum[i], paired);
    }
#pragma GCC unroll 16
    for (int i = 0; i < count; i++)
        store(to + i * LANES, sum[i]);
}

INLINE void against_all(
    float *to, const float *side, const float *rows, int64_t stride, int64_t n, int64_t width, const int paired)
{
    int64_t s = 0;
    for (; s + SUMS <= n; s += SUMS)
        against_some(to + s * LANES, side, rows + s * stride, stride, width, SUMS, paired);
    for (; s + 4 <= n; s += 4)
        against_some(to + s * LANES, side, rows + s * stride, stride, width, 4, paired);
    for (; s < n; s++)
        against_some(to + s * LANES, side, rows + s * stride, stride, width, 1, paired);
}

static __attribute__((noinline)) void against_rows(
    float *to, const float *side, const float *rows, int64_t stride, int64_t n, int64_t width)
{
    against_all(to, side, rows, stride, n, width, 0);
}

/* side[d] = fade side[d] + sum_s weight[s] row_s[d], d from j to j + count - 1. */
INLINE void blend_columns(
    float *side, vf fade, const float *weights, const float *rows, int64_t stride, int64_t n, int64_t j, const int count,
    const int paired)
{
    vf sum[SUMS];
#pragma GCC unroll 16
    for (int i = 0; i < count; i++)
        sum[i] = load(side + (j + i) * LANES) * fade;
    for (int64_t s = 0; s < n; s++) {
        const vf weight = load(weights + s * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < count; i++)
            sum[i] = times(weight, splat(rows[s * stride + j + i]), sum[i], paired);
    }
#pragma GCC unroll 16
    for (int i = 0; i < count; i++)
        store(side + (j + i) * LANES, sum[i]);
}

INLINE void blend_all(
    float *side, vf fade, const float *weights, const float *rows, int64_t stride, int64_t n, int64_t width, const int paired)
{
    int64_t j = 0;
    for (; j + SUMS <= width; j += SUMS)
        blend_columns(side, fade, weights, rows, stride, n, j, SUMS, paired);
    for (; j + 4 <= width; j += 4)
        blend_columns(side, fade, weights, rows, stride, n, j, 4, paired);
    for (; j < width; j++)
        blend_columns(side, fade, weights, rows, stride, n, j, 1, paired);
}

static __attribute__((noinline)) void blend(
    float *side, vf fade, const float *weights, const float *rows, int64_t stride, int64_t n, int64_t width)
{
    blend_all(side, fade, weights, rows, stride, n, width, 0);
}

/* The same where a row that a query doesn't see holds infinity or NaN, which 0 times wouldn't hide: a pair's two numbers
   one after the other. */
INLINE void blend_seen(
    float *side, vf fade, const float *weights, const float *rows, int64_t stride, int64_t n, int64_t width,
    const group *g, int64_t first, const int paired)
{
    for (int64_t d = 0; d < width; d++) {
        vf sum = load(side + d * LANES) * fade;
        for (int64_t s = 0; s < n; s++) {
            const vi key = splat_int((int32_t)(first + s));
            const int64_t at = paired ? s / 2 : s;
            const vf weight = load(weights + at * LANES), x = splat(rows[at * stride + d]);
            const vf more = paired ? fma_(half(weight, s % 2), half(x, s % 2), sum) : fma_(weight, x, sum);
            sum = choose((key >= g->low) & (key <= g->high), more, sum);
        }
        store(side + d * LANES, sum);
    }
}

/* Sums over n keys from `first` on become scores, minus infinity where a query doesn't see the key. The highest of them. */
INLINE vf score(float *scores, const sight *s, const group *g, int64_t first, int64_t n)
{
    const vf scale = splat(s->scale);
    vf highest = splat(-INFINITY);
    for (int64_t i = 0; i < n; i++) {
        const vi key = splat_int((int32_t)(first + i));
        vf x = load(scores + i * LANES) * scale;
        if (first + i < g->all_from || first + i >= g->all_to)
            x = choose((key >= g->low) & (key <= g->high), x, splat(-INFINITY));
        store(scores + i * LANES, x);
        highest = larger(x, highest);
    }
    return highest;
}

/* What a query has seen so far: the highest score, and the sum of exp(score - highest). */
typedef struct {
    vf top, sum;
} so_far;

/* The next scores, of which the highest is given, become weights: exp(score - highest so far). What fades the sums that
   were made before. */
INLINE vf weigh(so_far *seen, vf highest, float *scores, int64_t n, const int paired)
{
    const vf higher = larger(highest, seen->top);
    vf more = {0};
    const vf base = choose(higher == splat(-INFINITY), (vf){0}, higher); /* nothing seen so far */
    const vf fade = exp_(seen->top - base);
    for (int64_t i = 0; i < n; i += paired ? 2 : 1) {
        const vf p = exp_(load(scores + i * LANES) - base), next = paired ? exp_(load(scores + (i + 1) * LANES) - base) : p;
        more += p;
        if (paired)
            more += next;
        store(scores + (paired ? i / 2 : i) * LANES, paired ? pair_rows(p, next) : p);
    }
    seen->sum = fma_(seen->sum, fade, more);
    seen->top = higher;
    return fade;
}

/* The sums over all keys become the output, and lse is written. */
INLINE void put_out(const mg_call *call, const sight *s, const group *g, const so_far *seen, float *out_side)
{
    const int64_t row = g->b * s->length + g->first;
    const vf share = splat(1.0f) / seen->sum;
    float lse[LANES];
    for (int64_t d = 0; d < s->width; d++)
        store(out_side + d * LANES, load(out_side + d * LANES) * share);
    off_side(FLOATS(0) + row * s->channels + g->head * s->width, s->channels, g->n, out_side, LANES, s->width, 0);
    store(lse, seen->top + log_(seen->sum));
    for (int64_t i = 0; i < g->n; i++)
        FLOATS(1)[(row + i) * s->n_head + g->head] = lse[i];
}

/* Floats of one worker's scratch. */
static int64_t tiles_forward_scratch(const sight *s) { return (2 * s->width + KEYS) * LANES; }
static int64_t tiles_backward_scratch(const sight *s) { return (3 * s->width + 2 * KEYS) * LANES; }

/* LANES queries of one head, from t on. */
static void tiles_queries(const mg_call *call, const sight *s, int64_t b, int64_t head, int64_t t, float *scratch)
{
    const int64_t kv_head = head / (s->n_head / s->n_kv_head), at = (b * s->length + t) * s->channels + head * s->width;
    const float *k = s->k + b * s->room * s->kv_channels + kv_head * s->width;
    const float *v = s->v + b * s->room * s->kv_channels + kv_head * s->width;
    float *q_side = scratch, *out_side = q_side + s->width * LANES, *scores = out_side + s->width * LANES;
    const group g = take_group(s, b, head, t);
    on_side(q_side, LANES, s->q + at, s->channels, g.n, s->width);
    memset(out_side, 0, (size_t)(s->width * LANES) * sizeof(float));
    so_far seen = {splat(-INFINITY), {0}};
    for (int64_t tile = g.from / KEYS * KEYS; tile < g.to; tile += KEYS) {
        const int64_t from = tile > g.from ? tile : g.from, to = tile + KEYS < g.to ? tile + KEYS : g.to, n = to - from;
        against_rows(scores, q_side, k + from * s->kv_channels, s->kv_channels, n, s->width);
        const vf fade = weigh(&seen, score(scores, s, &g, from, n), scores, n, 0);
        const float *values = v + from * s->kv_channels;
        if ((from >= g.all_from && to <= g.all_to) || all_finite(values, s->kv_channels, n, s->width))
            blend(out_side, fade, scores, values, s->kv_channels, n, s->width);
        else
            blend_seen(out_side, fade, scores, values, s->kv_channels, n, s->width, &g, from, 0);
    }
    put_out(call, s, &g, &seen, out_side);
}

static void tiles_forward_part(void *job, int64_t first, int64_t last, int worker) /* heads of sequences */
{
    const mg_call *call = job;
    const sight s = look(call, 2);
    float *scratch = (float *)call->workspace + worker * tiles_forward_scratch(&s);
    for (int64_t item = first; item < last; item++)
        for (int64_t t = 0; t < s.length; t += LANES)
            tiles_queries(call, &s, item / s.n_head, item % s.n_head, t, scratch);
}

/* d_rows[s] += sum_t weight[s][t] row_t, n keys and m queries: the product of product.h, in tiles. */
INLINE void spread(
    float *d_rows, int64_t stride, matrix weights, int64_t n, matrix rows, int64_t m, int64_t width, const int paired)
{
    const int64_t vectors = pieces(width, LANES);
    for (int64_t v0 = 0; v0 < vectors; v0 += MOST_VECTORS) {
        const int64_t nv = vectors - v0 < MOST_VECTORS ? vectors - v0 : MOST_VECTORS, end = (v0 + nv) * LANES;
        tile t = {.k = m, .b = rows.at + v0 * LANES, .b_row = rows.row, .c_row = stride, .add = 1,
                  .last = end > width ? (int)(LANES - (end - width)) : LANES};
        const cut strips = cut_up(n, most_rows[nv]);
        for (int64_t i = 0; i < strips.count; i++) {
            const int64_t first = piece(strips, i);
            t.a = (matrix){weights.at + first * weights.row, weights.row, 1};
            t.c = d_rows + first * stride + v0 * LANES;
            tiles[paired ? PAIRED : t.last < LANES ? RAGGED : WHOLE][nv][piece(strips, i + 1) - first](&t);
        }
    }
}

static void tiles_backward_part(void *job, int64_t first, int64_t last, int worker) /* heads of k of sequences */
{
    const mg_call *call = job;
    const sight s = look(call, 6);
    const float *d_out = FLOATS(3), *out = FLOATS(4), *lse = FLOATS(5);
    float *q_side = (float *)call->workspace + worker * tiles_backward_scratch(&s);
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
                on_side(q_side, LANES, s.q + at, s.channels, g.n, s.width);
                on_side(d_side, LANES, d_out + at, s.channels, g.n, s.width);
                on_side(d_q_side, LANES, out + at, s.channels, g.n, s.width); /* for a moment */
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
                    against_rows(weights, q_side, s.k + rows, s.kv_channels, n, s.width);
                    score(weights, &s, &g, from, n);
                    against_rows(errors, d_side, s.v + rows, s.kv_channels, n, s.width);
                    for (int64_t i = 0; i < n; i++) {
                        const vf p = exp_(load(weights + i * LANES) - base);
                        store(weights + i * LANES, p);
                        store(errors + i * LANES, splat(s.scale) * p * (load(errors + i * LANES) - mean));
                    }
                    if (FLOATS(0))
                        blend(d_q_side, splat(1.0f), errors, s.k + rows, s.kv_channels, n, s.width);
                    if (FLOATS(1))
                        spread(FLOATS(1) + rows, s.kv_channels, by_rows(errors, LANES), n, by_rows(s.q + at, s.channels), g.n,
                               s.width, 0);
                    if (FLOATS(2))
                        spread(FLOATS(2) + rows, s.kv_channels, by_rows(weights, LANES), n, by_rows(d_out + at, s.channels), g.n,
                               s.width, 0);
                }
                if (FLOATS(0))
                    off_side(FLOATS(0) + at, s.channels, g.n, d_q_side, LANES, s.width, !call->array[0].set);
            }
    }
}
