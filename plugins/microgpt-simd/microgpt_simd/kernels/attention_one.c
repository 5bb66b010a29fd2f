/* Attention of one query, such as a session's latest token, to the bits of attention_tiles.c. A vector of queries would hold
   a single number, so here it holds keys while scores are summed, and columns while the output is:

       score[s] = a sum_d q[d] k[s][d]        k turned on its side, LANES keys at a time
       out[d] = sum_s p[s] v[s][d]            rows of v as they lie

   Both add up the same products in the same order as there, tile by tile of KEYS keys. */

enum { KEY_VECTORS = 4 }; /* sums of scores that are in registers together */

static int64_t one_scratch(const sight *s) { return KEYS * (s->width + 1); }

/* to[s] = a sum_d q[d] side[d][s], of `count` vectors of keys. */
INLINE void scores_of_keys(float *to, const float *q, const float *side, int64_t width, vf scale, const int count)
{
    vf sum[KEY_VECTORS];
#pragma GCC unroll 4
    for (int i = 0; i < count; i++)
        sum[i] = (vf){0};
    for (int64_t d = 0; d < width; d++) {
        const vf x = splat(q[d]);
#pragma GCC unroll 4
        for (int i = 0; i < count; i++)
            sum[i] = fma_(x, load(side + d * KEYS + i * LANES), sum[i]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < count; i++)
        store(to + i * LANES, sum[i] * scale);
}

/* out[d] = fade out[d] + sum_s p[s] v_s[d], of `count` vectors of columns, of whose last n count. */
INLINE void blend_rows(float *out, vf fade, const float *p, const float *v, int64_t stride, int64_t keys, int64_t n, const int count)
{
    vf sum[KEY_VECTORS];
#pragma GCC unroll 4
    for (int i = 0; i < count; i++)
        sum[i] = fade * (i == count - 1 ? get(out + i * LANES, n) : load(out + i * LANES));
    for (int64_t s = 0; s < keys; s++) {
        const vf weight = splat(p[s]);
#pragma GCC unroll 4
        for (int i = 0; i < count; i++) {
            const float *row = v + s * stride + i * LANES;
            sum[i] = fma_(weight, i == count - 1 ? get(row, n) : load(row), sum[i]);
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < count; i++)
        put(out + i * LANES, sum[i], i == count - 1 ? n : LANES);
}

/* One head's query; q and out are its columns. */
static void one_query(const sight *s, const group *g, const float *q, float *out, float *lse, float *scratch)
{
    const int64_t kv_head = g->head / (s->n_head / s->n_kv_head), stride = s->kv_channels;
    const int64_t kv = g->b * s->room * stride + kv_head * s->width;
    float *scores = scratch, *side = scratch + KEYS;
    vf top = splat(-INFINITY), sum = {0};
    memset(out, 0, (size_t)s->width * sizeof(float));
    for (int64_t tile = g->from / KEYS * KEYS; tile < g->to; tile += KEYS) {
        const int64_t from = tile > g->from ? tile : g->from, to = tile + KEYS < g->to ? tile + KEYS : g->to, n = to - from;
        for (int64_t i = 0; i < n; i += LANES)
            on_side(side + i, KEYS, s->k + kv + (from + i) * stride, stride, n - i < LANES ? n - i : LANES, s->width);
        for (int64_t i = 0, left = pieces(n, LANES); left > 0; i += KEY_VECTORS * LANES, left -= KEY_VECTORS)
            if (left >= KEY_VECTORS)
                scores_of_keys(scores + i, q, side + i, s->width, splat(s->scale), KEY_VECTORS);
            else if (left == 3)
                scores_of_keys(scores + i, q, side + i, s->width, splat(s->scale), 3);
            else if (left == 2)
                scores_of_keys(scores + i, q, side + i, s->width, splat(s->scale), 2);
            else
                scores_of_keys(scores + i, q, side + i, s->width, splat(s->scale), 1);
        vf higher = top, more = {0};
        for (int64_t i = 0; i < n; i++)
            higher = larger(splat(scores[i]), higher);
        const vf base = choose(higher == splat(-INFINITY), (vf){0}, higher), fade = exp_(top - base);
        EACH_VECTOR (i, some, 0, n)
            put(scores + i, exp_(get(scores + i, some) - base), some);
        for (int64_t i = 0; i < n; i++)
            more += splat(scores[i]);
        sum = fma_(sum, fade, more);
        top = higher;
        const float *values = s->v + kv + from * stride;
        for (int64_t d = 0; d < s->width; d += KEY_VECTORS * LANES) {
            const int64_t left = s->width - d, vectors = left < KEY_VECTORS * LANES ? pieces(left, LANES) : KEY_VECTORS;
            const int64_t last = left < KEY_VECTORS * LANES ? left - (vectors - 1) * LANES : LANES;
            if (vectors == 4)
                blend_rows(out + d, fade, scores, values + d, stride, n, last, 4);
            else if (vectors == 3)
                blend_rows(out + d, fade, scores, values + d, stride, n, last, 3);
            else if (vectors == 2)
                blend_rows(out + d, fade, scores, values + d, stride, n, last, 2);
            else
                blend_rows(out + d, fade, scores, values + d, stride, n, last, 1);
        }
    }
    const vf share = splat(1.0f) / sum;
    EACH_VECTOR (d, some, 0, s->width)
        put(out + d, get(out + d, some) * share, some);
    *lse = (top + log_(sum))[0];
}

static void one_part(void *job, int64_t first, int64_t last, int worker) /* heads of sequences of one query */
{
    const mg_call *call = job;
    const sight s = look(call, 2);
    for (int64_t item = first; item < last; item++) {
        const group g = take_group(&s, item / s.n_head, item % s.n_head, 0);
        one_query(&s, &g, s.q + item * s.width, FLOATS(0) + item * s.width, FLOATS(1) + item,
                  (float *)call->workspace + worker * one_scratch(&s));
    }
}
