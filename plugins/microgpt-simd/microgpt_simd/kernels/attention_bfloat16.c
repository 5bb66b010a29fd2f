/* Attention with products of bfloat16: rows of q, k, v and d_out are rounded, and so are the weights p and the errors e that
   they are multiplied by. Sums and exp are float32. It goes as in attention_tiles.c, but what a product adds up are pairs:

       q . k and d . v    of channels, neighbours in a row
       p v and e k        of keys, two rows of k or v; so a tile begins and ends between two pairs
       e q and p d        of queries, two rows of q or d_out

   A head's k and v are paired before its queries come. Sequences whose queries see few keys, such as short documents,
   go by attention_near.c in float32, each by itself, whatever the others do: little is multiplied there. */

INLINE int64_t even(int64_t n) { return (n + 1) / 2 * 2; }

/* Floats that a head's rows take, paired along each and by two; after an odd number of rows comes one of zeros. */
INLINE int64_t along_floats(const sight *s) { return even(s->room) * width_along(s->width); }
INLINE int64_t two_floats(const sight *s) { return even(s->room) / 2 * width_by_two(s->width); }

static void pair_along(float *to, const float *rows, const sight *s)
{
    const int64_t row = width_along(s->width);
    pair_a(to, by_rows(rows, s->kv_channels), s->room, s->width);
    if (s->room % 2)
        memset(to + s->room * row, 0, (size_t)row * sizeof(float));
}

static void pair_by_two(float *to, const float *rows, int64_t stride, int64_t n, int64_t width)
{
    pair_two_rows(to, width_by_two(width), rows, stride, n, width);
}

/* LANES queries' rows on their side, as pairs: (pairs of channels, LANES). */
static void pair_on_side(float *to, const float *rows, int64_t stride, int64_t n, int64_t width)
{
    for (int64_t j = 0; j < width; j += 2 * LANES)
        turn_block_of_pairs(to + j / 2 * LANES, LANES, rows + j, stride, n, width - j);
}

static __attribute__((noinline)) void against_pairs(
    float *to, const float *side, const float *rows, int64_t stride, int64_t n, int64_t width)
{
    against_all(to, side, rows, stride, n, width, 1);
}

static __attribute__((noinline)) void blend_pairs(
    float *side, vf fade, const float *weights, const float *rows, int64_t stride, int64_t n, int64_t width)
{
    blend_all(side, fade, weights, rows, stride, n, width, 1);
}

/* Whether numbers are finite once they are rounded, which the largest aren't. */
static int all_pairs_finite(const float *rows, int64_t stride, int64_t n, int64_t width)
{
    vf zero = {0};
    for (int64_t p = 0; p < n; p++)
        EACH_VECTOR (i, m, 0, width) {
            const vf pairs = get(rows + p * stride + i, m), first = half(pairs, 0), second = half(pairs, 1);
            zero += (first - first) + (second - second);
        }
    return sum_lanes(zero) == 0;
}

typedef struct { /* keys of a tile that somebody sees, in whole pairs: n from `from` on, of which `real` are there */
    int64_t from, n, real;
} keys;

INLINE keys take_keys(const sight *s, const group *g, int64_t tile)
{
    const int64_t from = tile > g->from ? tile : g->from / 2 * 2, to = tile + KEYS < g->to ? tile + KEYS : even(g->to);
    return (keys){from, to - from, to < s->room ? to - from : s->room - from};
}

INLINE int goes_near(const sight *s, int64_t b) { return s->length > 1 && may_be_near(s) && is_near(s, b); }

static int64_t near_sequences(const sight *s)
{
    int64_t count = 0;
    for (int64_t b = 0; b < s->batch; b++)
        count += goes_near(s, b);
    return count;
}

static int64_t pairs_forward_scratch(const sight *s)
{
    return along_floats(s) + two_floats(s) + (width_along(s->width) + s->width + KEYS) * LANES;
}

static void pairs_forward_part(void *job, int64_t first, int64_t last, int worker) /* heads of sequences */
{
    const mg_call *call = job;
    const sight s = look(call, 2);
    const int64_t along = width_along(s.width), two = width_by_two(s.width), pairs = pieces(s.width, 2);
    float *const k = (float *)call->workspace + worker * pairs_forward_scratch(&s), *const v = k + along_floats(&s);
    float *const q_side = v + two_floats(&s), *const out_side = q_side + along * LANES;
    float *const scores = out_side + s.width * LANES;
    for (int64_t item = first; item < last; item++) {
        const int64_t b = item / s.n_head, head = item % s.n_head, kv_head = head / (s.n_head / s.n_kv_head);
        const int64_t kv = b * s.room * s.kv_channels + kv_head * s.width;
        if (goes_near(&s, b))
            continue;
        pair_along(k, s.k + kv, &s);
        pair_by_two(v, s.v + kv, s.kv_channels, s.room, s.width);
        for (int64_t t = 0; t < s.length; t += LANES) {
            const group g = take_group(&s, b, head, t);
            const int64_t at = (b * s.length + t) * s.channels + head * s.width;
            so_far seen = {splat(-INFINITY), {0}};
            pair_on_side(q_side, s.q + at, s.channels, g.n, s.width);
            memset(out_side, 0, (size_t)(s.width * LANES) * sizeof(float));
            for (int64_t tile = g.from / KEYS * KEYS; tile < g.to; tile += KEYS) {
                const keys some = take_keys(&s, &g, tile);
                const float *values = v + some.from / 2 * two;
                against_pairs(scores, q_side, k + some.from * along, along, some.n, pairs);
                const vf fade = weigh(&seen, score(scores, &s, &g, some.from, some.n), scores, some.n, 1);
                if ((some.from >= g.all_from && some.from + some.n <= g.all_to) ||
                    all_pairs_finite(values, two, some.n / 2, s.width))
                    blend_pairs(out_side, fade, scores, values, two, some.n / 2, s.width);
                else
                    blend_seen(out_side, fade, scores, values, two, some.n, s.width, &g, some.from, 1);
            }
            put_out(call, &s, &g, &seen, out_side);
        }
    }
}

static int64_t pairs_backward_scratch(const sight *s)
{
    const int64_t of_queries = (2 * width_along(s->width) + s->width + width_by_two(s->width)) * LANES;
    return 2 * along_floats(s) + two_floats(s) + of_queries + 5 * KEYS * LANES / 2;
}

/* For each of n queries r(d_out) . out. */
INLINE vf means(const float *d_out, const float *out, const sight *s, int64_t n)
{
    float mean[LANES] = {0};
    for (int64_t i = 0; i < n; i++) {
        vf sum = {0};
        EACH_VECTOR (j, m, 0, s->width)
            sum = fma_(to_bfloat16(get(d_out + i * s->channels + j, m)), get(out + i * s->channels + j, m), sum);
        mean[i] = sum_lanes(sum);
    }
    return load(mean);
}

static void pairs_backward_part(void *job, int64_t first, int64_t last, int worker) /* heads of k of sequences */
{
    const mg_call *call = job;
    const sight s = look(call, 6);
    const float *d_out = FLOATS(3), *out = FLOATS(4), *lse = FLOATS(5);
    const int64_t along = width_along(s.width), two = width_by_two(s.width), pairs = pieces(s.width, 2);
    const int64_t shared = s.n_head / s.n_kv_head, part = LANES / 2; /* pairs of queries */
    float *const k = (float *)call->workspace + worker * pairs_backward_scratch(&s), *const v = k + along_floats(&s);
    float *const k_two = v + along_floats(&s), *const q_side = k_two + two_floats(&s), *const d_side = q_side + along * LANES;
    float *const d_q_side = d_side + along * LANES, *const weights = d_q_side + s.width * LANES;
    float *const errors = weights + KEYS * LANES, *const errors_in_rows = errors + KEYS * LANES;
    float *const q_two = errors_in_rows + KEYS * part, *const d_two = q_two + part * two;
    for (int64_t item = first; item < last; item++) {
        const int64_t b = item / s.n_kv_head, kv_head = item % s.n_kv_head;
        const int64_t kv = b * s.room * s.kv_channels + kv_head * s.width;
        if (goes_near(&s, b))
            continue;
        pair_along(k, s.k + kv, &s);
        pair_along(v, s.v + kv, &s);
        pair_by_two(k_two, s.k + kv, s.kv_channels, s.room, s.width);
        for (int64_t head = kv_head * shared; head < (kv_head + 1) * shared; head++)
            for (int64_t t = 0; t < s.length; t += LANES) {
                const group g = take_group(&s, b, head, t);
                const int64_t at = (b * s.length + t) * s.channels + head * s.width;
                const vf mean = means(d_out + at, out + at, &s, g.n);
                float base_lanes[LANES] = {0};
                for (int64_t i = 0; i < g.n; i++)
                    base_lanes[i] = lse[(b * s.length + t + i) * s.n_head + head];
                const vf base = load(base_lanes);
                pair_on_side(q_side, s.q + at, s.channels, g.n, s.width);
                pair_on_side(d_side, d_out + at, s.channels, g.n, s.width);
                pair_by_two(q_two, s.q + at, s.channels, g.n, s.width);
                pair_by_two(d_two, d_out + at, s.channels, g.n, s.width);
                memset(d_q_side, 0, (size_t)(s.width * LANES) * sizeof(float));
                for (int64_t tile = g.from / KEYS * KEYS; tile < g.to; tile += KEYS) {
                    const keys some = take_keys(&s, &g, tile);
                    const int64_t rows = kv + some.from * s.kv_channels;
                    against_pairs(weights, q_side, k + some.from * along, along, some.n, pairs);
                    score(weights, &s, &g, some.from, some.n);
                    against_pairs(errors, d_side, v + some.from * along, along, some.n, pairs);
                    for (int64_t i = 0; i < some.n; i += 2) {
                        vf p[2], e[2];
#pragma GCC unroll 2
                        for (int64_t j = 0; j < 2; j++) {
                            p[j] = exp_(load(weights + (i + j) * LANES) - base);
                            e[j] = splat(s.scale) * p[j] * (load(errors + (i + j) * LANES) - mean);
                        }
                        store(weights + i * part, pair_neighbours(p[0], p[1])); /* a key's pairs, and then the next one's */
                        store(errors_in_rows + i * part, pair_neighbours(e[0], e[1]));
                        store(errors + i / 2 * LANES, pair_rows(e[0], e[1]));
                    }
                    if (FLOATS(0))
                        blend_pairs(d_q_side, splat(1.0f), errors, k_two + some.from / 2 * two, two, some.n / 2, s.width);
                    if (FLOATS(1))
                        spread(FLOATS(1) + rows, s.kv_channels, by_rows(errors_in_rows, part), some.real, by_rows(q_two, two),
                               pieces(g.n, 2), s.width, 1);
                    if (FLOATS(2))
                        spread(FLOATS(2) + rows, s.kv_channels, by_rows(weights, part), some.real, by_rows(d_two, two),
                               pieces(g.n, 2), s.width, 1);
                }
                if (FLOATS(0))
                    off_side(FLOATS(0) + at, s.channels, g.n, d_q_side, LANES, s.width, !call->array[0].set);
            }
    }
}

static void near_ones_forward_part(void *job, int64_t first, int64_t last, int worker) /* blocks of heads */
{
    const sight s = look(job, 2);
    for (int64_t item = first; item < last; item++)
        if (goes_near(&s, item / near_blocks(&s)))
            near_forward_part(job, item, item + 1, worker);
}

static void near_ones_backward_part(void *job, int64_t first, int64_t last, int worker)
{
    const sight s = look(job, 6);
    for (int64_t item = first; item < last; item++)
        if (goes_near(&s, item / near_blocks(&s)))
            near_backward_part(job, item, item + 1, worker);
}

static int64_t attention_bfloat16_forward_workspace(const mg_call *call)
{
    const sight s = look(call, 2);
    const int64_t mine = call->team->threads * pairs_forward_scratch(&s) * (int64_t)sizeof(float);
    const int64_t near = attention_forward_workspace(call);
    return mine > near ? mine : near;
}

static int attention_bfloat16_forward(const mg_call *call)
{
    const sight s = look(call, 2);
    const int code = check_sight(call, 2, &s);
    const int64_t work = s.length * s.room * s.width / 4, near = code ? 0 : near_sequences(&s);
    if (code)
        return code;
    if (near)
        share_rows(call, s.batch * near_blocks(&s), work, near_ones_forward_part);
    if (near < s.batch)
        share_rows(call, s.batch * s.n_head, work, pairs_forward_part);
    return MG_OK;
}

static int64_t attention_bfloat16_backward_workspace(const mg_call *call)
{
    const sight s = look(call, 6);
    const int64_t mine = call->team->threads * pairs_backward_scratch(&s) * (int64_t)sizeof(float);
    const int64_t near = attention_backward_workspace(call);
    return mine > near ? mine : near;
}

static int attention_bfloat16_backward(const mg_call *call)
{
    const sight s = look(call, 6);
    const int code = check_sight(call, 6, &s);
    const int64_t work = s.length * s.room * s.width / 2, near = code ? 0 : near_sequences(&s);
    if (code)
        return code;
    for (int i = 1; i < 3; i++)
        if (FLOATS(i) && call->array[i].set)
            memset(FLOATS(i), 0, (size_t)call->array[i].size * sizeof(float));
    if (near)
        share_rows(call, s.batch * near_blocks(&s), work, near_ones_backward_part);
    if (near < s.batch)
        share_rows(call, s.batch * s.n_kv_head, work, pairs_backward_part);
    return MG_OK;
}
