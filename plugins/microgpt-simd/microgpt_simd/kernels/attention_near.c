/* Attention whose queries see only keys near by, such as documents of a few tokens that are packed into one long row, or
   a short window: the same numbers as in attention_tiles.c, without the keys of the neighbours' documents.

   All of q, k and v is turned on its side, so that a vector holds one number of LANES queries or keys that follow one
   another. The keys that lie `back` before LANES queries are then one vector, too, and need no broadcast:

       score(back)[t] = a sum_d q[d][t] k[d][t - back]        out[d][t] = sum_back p(back)[t] v[d][t - back]
       d_k[d][s] = sum_back e(back)[s + back] q[d][s + back]  and so on

   Of rows so short that a vector has room for several, heads are folded: they follow one another in a line, as documents
   do in a packed row, since no query sees as far back as the head before its own.

   The output has the bits that it has by tiles: sums go from the furthest key to the query's own, and queries whose keys
   lie in two tiles are left to tiles_queries. Each sequence goes one way or the other by itself, whatever the others do. */

enum { NEAR_KEYS = 16 }; /* that a query sees at most */
enum { LONGEST = 1024 }; /* rows: a head of 64 then has 1.5 MB of scratch */
enum { NARROW = 8 };     /* heads */
enum { AT_ONCE = 4 };    /* sums that are in registers together */

typedef struct { /* heads of a sequence that are computed together, since their channels fill a vector */
    int64_t b, head, heads, channels; /* the first one, how many, and how wide they are together */
    int64_t fold, length;             /* how many follow one another in a line, which then has so many numbers */
    const float *q, *k, *v;
} near_heads;

INLINE int64_t heads_at_once(const sight *s) { return s->width < LANES ? (LANES + s->width - 1) / s->width : 1; }
INLINE int64_t near_blocks(const sight *s) { return pieces(s->n_head, heads_at_once(s)); }

/* How many heads a line has room for. */
INLINE int64_t near_fold(const sight *s)
{
    const int64_t most = LANES / s->length < s->n_head ? LANES / s->length : s->n_head;
    return most < 1 ? 1 : most < heads_at_once(s) ? most : heads_at_once(s);
}

static near_heads take_heads(const sight *s, int64_t item)
{
    near_heads h = {.b = item / near_blocks(s), .head = item % near_blocks(s) * heads_at_once(s), .fold = near_fold(s)};
    const int64_t left = s->n_head - h.head, at = h.b * s->length * s->channels + h.head * s->width;
    h.heads = left < heads_at_once(s) ? left : heads_at_once(s);
    h.channels = h.heads * s->width, h.length = h.fold * s->length;
    h.q = s->q + at, h.k = s->k + at, h.v = s->v + at;
    return h;
}

/* A side: NEAR_KEYS zeros, the numbers of all rows, and zeros for at least as many rows again. */
INLINE int64_t side_row(int64_t length) { return NEAR_KEYS + pieces(length, LANES) * LANES + NEAR_KEYS; }

/* Whether the shapes allow it and there is something to gain: then it depends on each sequence's positions, too. */
static int may_be_near(const sight *s)
{
    const int short_rows = s->length <= NEAR_KEYS; /* then tiles hold no other keys: only narrow heads gain */
    return s->length == s->room && s->length <= LONGEST && s->n_head == s->n_kv_head &&
           (short_rows ? s->width <= NARROW : s->has_positions || s->window <= NEAR_KEYS);
}

/* How many keys before its own a query sees, at most. */
INLINE int64_t sees_back(const sight *s, int64_t b, int64_t t)
{
    const int64_t back = s->positions ? s->positions[b * s->length + t] : t;
    return back < s->window ? back : s->window - 1;
}

static int is_near(const sight *s, int64_t b)
{
    for (int64_t t = 0; t < s->length; t++)
        if (sees_back(s, b, t) >= NEAR_KEYS)
            return 0;
    return 1;
}

/* Whether one of LANES queries from t on sees keys on both sides of where a tile begins. */
static int in_two_tiles(const sight *s, int64_t b, int64_t t)
{
    for (int64_t i = t; t % KEYS < NEAR_KEYS && i < t + LANES && i < s->length; i++)
        if ((i - sees_back(s, b, i)) / KEYS != i / KEYS)
            return 1;
    return 0;
}

/* Floats of one worker's scratch: sides of channels, one number a head, and weights of keys. */
static int64_t near_scratch(const sight *s, int channels, int heads, int keys)
{
    const int64_t lines = heads_at_once(s) * (channels * s->width + heads) + keys * NEAR_KEYS;
    return may_be_near(s) ? lines * side_row(s->length) : 0;
}

/* Lines with zeros around them; where the numbers of the first begin. `to` is moved on. */
static float *take_lines(float **to, int64_t length, int64_t lines)
{
    const int64_t row = side_row(length), end = row - NEAR_KEYS;
    float *side = *to;
    for (int64_t d = 0; d < lines; d++) {
        memset(side + d * row, 0, NEAR_KEYS * sizeof(float));
        memset(side + d * row + end, 0, NEAR_KEYS * sizeof(float));
    }
    *to += lines * row;
    return side + NEAR_KEYS;
}

/* Where each channel of folded heads begins, of `width` for each head. */
INLINE void find_channels(int64_t *at, const near_heads *h, int64_t width)
{
    const int64_t row = side_row(h->length), rows = h->length / h->fold;
    for (int64_t i = 0, line = 0, place = 0; i < h->heads; i++) {
        for (int64_t d = 0; d < width; d++)
            *at++ = (line + d) * row + place;
        place += rows;
        if (place == h->length)
            line += width, place = 0;
    }
}

/* turn_block with a place for each of the rows that it writes, and turn_back with one for each that it reads. */
static __attribute__((noinline)) void turn_folded(
    float *to, const int64_t *at, const float *from, int64_t row, int64_t rows, int64_t columns)
{
    vf x[LANES];
    turn_part(x, from, row, rows, columns);
#pragma GCC unroll 16
    for (int64_t i = 0; i < LANES; i++)
        if (i < columns)
            store(to + at[i], x[i]);
}

static __attribute__((noinline)) void turn_folded_back(
    float *to, int64_t to_row, const float *from, const int64_t *at, int64_t rows, int64_t columns, int add)
{
    vf x[LANES];
#pragma GCC unroll 16
    for (int64_t i = 0; i < LANES; i++)
        x[i] = i < rows ? load(from + at[i]) : (vf){0};
    turn(x);
#pragma GCC unroll 16
    for (int64_t i = 0; i < LANES; i++)
        if (i < columns)
            store_n(to + i * to_row, add ? load_n(to + i * to_row, rows) + x[i] : x[i], rows);
}

/* The heads' rows on their side, of `width` numbers for each head; without rows, lines for what is still to come. */
static float *take_side(float **to, const float *rows, int64_t stride, const near_heads *h, int64_t width)
{
    const int64_t row = side_row(h->length), length = h->length / h->fold, channels = h->heads * width;
    float *const side = take_lines(to, h->length, pieces(h->heads, h->fold) * width);
    int64_t at[LANES + NARROW];
    if (!rows)
        return side;
    if (h->fold > 1) {
        find_channels(at, h, width); /* zeros behind a head's numbers are where the next head's will stand */
        for (int64_t j = 0; j < channels; j += LANES)
            turn_folded(side, at + j, rows + j, stride, length, channels - j < LANES ? channels - j : LANES);
        return side;
    }
    for (int64_t t = 0; t < length; t += LANES)
        on_side(side + t, row, rows + t * stride, stride, length - t < LANES ? length - t : LANES, channels);
    return side;
}

static void put_side(float *rows, int64_t stride, const float *side, const near_heads *h, int64_t width, int add)
{
    const int64_t row = side_row(h->length), length = h->length / h->fold, channels = h->heads * width;
    int64_t at[LANES + NARROW];
    if (h->fold > 1) {
        find_channels(at, h, width);
        for (int64_t j = 0; j < channels; j += LANES)
            turn_folded_back(rows + j, stride, side, at + j, channels - j < LANES ? channels - j : LANES, length, add);
        return;
    }
    for (int64_t t = 0; t < length; t += LANES)
        off_side(rows + t * stride, stride, length - t < LANES ? length - t : LANES, side + t, row, channels, add);
}

/* How far back each of LANES queries of a line sees, -1 where there is none; and how far any of them does. */
INLINE vi near_lanes(const sight *s, const near_heads *h, int64_t t, int64_t *most)
{
    int32_t back[LANES];
    *most = 0;
    for (int64_t i = 0, query = t; i < LANES; i++, query++) {
        if (h->fold > 1 && query == s->length)
            query = 0;
        back[i] = t + i < h->length ? (int32_t)sees_back(s, h->b, query) : -1;
        *most = back[i] > *most ? back[i] : *most;
    }
    return *(const vi_anywhere *)back;
}

/* to[i][t] = sum_d a[d][t] b[d][t - back - i], for the AT_ONCE keys from `back` on. */
INLINE void dots_near(vf *to, const float *a, const float *b, int64_t row, int64_t width, int64_t back)
{
    vf sum[AT_ONCE] = {{0}};
    for (int64_t d = 0; d < width; d++) {
        const vf x = load(a + d * row);
#pragma GCC unroll 4
        for (int i = 0; i < AT_ONCE; i++)
            sum[i] = fma_(x, load(b + d * row - back - i), sum[i]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < AT_ONCE; i++)
        to[i] = sum[i];
}

/* to[d][t] = share[t] sum_back w[back][t] x[d][t - back], of `count` lines. */
INLINE void blend_lines(float *to, vf share, const vf *weights, const float *x, int64_t row, int64_t most, const int count)
{
    vf sum[AT_ONCE] = {{0}};
    for (int64_t back = most; back >= 0; back--)
#pragma GCC unroll 4
        for (int i = 0; i < count; i++)
            sum[i] = fma_(weights[back], load(x + i * row - back), sum[i]);
#pragma GCC unroll 4
    for (int i = 0; i < count; i++)
        store(to + i * row, sum[i] * share);
}

INLINE void blend_near(float *to, vf share, const vf *weights, const float *x, int64_t row, int64_t width, int64_t most)
{
    int64_t d = 0;
    for (; d + AT_ONCE <= width; d += AT_ONCE)
        blend_lines(to + d * row, share, weights, x + d * row, row, most, AT_ONCE);
    for (; d < width; d++)
        blend_lines(to + d * row, share, weights, x + d * row, row, most, 1);
}

/* to[d][s] = sum_back w(back)[s + back] x[d][s + back], of `count` lines: what the queries that see a key give it. */
INLINE void gather_lines(float *to, const float *weights, const float *x, int64_t row, int64_t most, const int count)
{
    vf sum[AT_ONCE] = {{0}};
    for (int64_t back = 0; back <= most; back++) {
        const vf weight = load(weights + back * row + back);
#pragma GCC unroll 4
        for (int i = 0; i < count; i++)
            sum[i] = fma_(weight, load(x + i * row + back), sum[i]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < count; i++)
        store(to + i * row, sum[i]);
}

INLINE void gather_near(float *to, const float *weights, const float *x, int64_t row, int64_t width, int64_t most)
{
    int64_t d = 0;
    for (; d + AT_ONCE <= width; d += AT_ONCE)
        gather_lines(to + d * row, weights, x + d * row, row, most, AT_ONCE);
    for (; d < width; d++)
        gather_lines(to + d * row, weights, x + d * row, row, most, 1);
}

/* The scores of LANES queries with each key, minus infinity where they don't see it. */
INLINE void near_scores(vf *p, const sight *s, const float *q, const float *k, int64_t row, vi near, int64_t most)
{
    for (int64_t back = 0; back <= most; back += AT_ONCE) {
        dots_near(p + back, q, k, row, s->width, back);
#pragma GCC unroll 4
        for (int i = 0; i < AT_ONCE; i++)
            p[back + i] = choose(splat_int((int32_t)back + i) <= near, p[back + i] * splat(s->scale), splat(-INFINITY));
    }
}

/* LANES queries of a line, from where q, k, v and out have their first. Returns their lse. */
INLINE vf near_queries(
    const sight *s, const float *q, const float *k, const float *v, float *out, int64_t row, vi near, int64_t most)
{
    vf p[NEAR_KEYS], top = splat(-INFINITY), sum = {0};
    near_scores(p, s, q, k, row, near, most);
    for (int64_t back = most; back >= 0; back--)
        top = larger(p[back], top);
    const vf base = choose(top == splat(-INFINITY), (vf){0}, top); /* a lane without a query */
    for (int64_t back = most; back >= 0; back--) {
        p[back] = exp_(p[back] - base);
        sum += p[back];
    }
    blend_near(out, splat(1.0f) / sum, p, v, row, s->width, most);
    return top + log_(sum);
}

static int64_t near_forward_scratch(const sight *s) { return near_scratch(s, 4, 1, 0); }

static void near_forward_part(void *job, int64_t first, int64_t last, int worker) /* blocks of heads */
{
    const mg_call *call = job;
    const sight s = look(call, 2);
    const int64_t row = side_row(near_fold(&s) * s.length), before = call->team->threads * tiles_forward_scratch(&s);
    float *const scratch = (float *)call->workspace + before + worker * near_forward_scratch(&s);
    for (int64_t item = first; item < last; item++) {
        const near_heads h = take_heads(&s, item);
        /* the weight 0 wouldn't hide a neighbour's infinity */
        if (!is_near(&s, h.b) || !all_finite(h.v, s.channels, s.length, h.channels)) {
            tiles_forward_part(job, h.b * s.n_head + h.head, h.b * s.n_head + h.head + h.heads, worker);
            continue;
        }
        float *at = scratch;
        const float *q = take_side(&at, h.q, s.channels, &h, s.width);
        const float *k = take_side(&at, h.k, s.channels, &h, s.width);
        const float *v = take_side(&at, h.v, s.channels, &h, s.width);
        float *out = take_side(&at, 0, 0, &h, s.width), *lse = take_side(&at, 0, 0, &h, 1);
        for (int64_t t = 0; t < h.length; t += LANES) {
            int64_t most;
            const vi near = near_lanes(&s, &h, t, &most);
            for (int64_t i = 0; i < pieces(h.heads, h.fold); i++) {
                const int64_t to = i * s.width * row + t;
                store(lse + i * row + t, near_queries(&s, q + to, k + to, v + to, out + to, row, near, most));
            }
        }
        put_side(FLOATS(0) + (h.q - s.q), s.channels, out, &h, s.width, 0);
        put_side(FLOATS(1) + h.b * s.length * s.n_head + h.head, s.n_head, lse, &h, 1, 0);
        for (int64_t t = 0; t < s.length; t += LANES)
            for (int64_t i = 0; i < h.heads && in_two_tiles(&s, h.b, t); i++)
                tiles_queries(call, &s, h.b, h.head + i, t, (float *)call->workspace + worker * tiles_forward_scratch(&s));
    }
}

typedef struct { /* the sides of a head, or of those folded with it, of which out becomes d_q, k d_k and v d_v */
    const float *q, *d_out, *lse;
    float *k, *v, *out, *weights, *errors;
} near_sides;

/* The probabilities and the scores' gradients of LANES queries from t on, and d_q. */
INLINE void near_errors(
    const sight *s, const near_sides *n, int64_t row, int64_t t, vi near, int64_t most, int64_t most_of_all)
{
    const vf base = load(n->lse + t);
    vf p[NEAR_KEYS], e[NEAR_KEYS], mean = {0};
    for (int64_t d = 0; d < s->width; d++)
        mean = fma_(load(n->d_out + d * row + t), load(n->out + d * row + t), mean);
    near_scores(p, s, n->q + t, n->k + t, row, near, most);
    for (int64_t back = 0; back <= most; back += AT_ONCE)
        dots_near(e + back, n->d_out + t, n->v + t, row, s->width, back);
    for (int64_t back = 0; back <= most_of_all; back++) {
        p[back] = back <= most ? exp_(p[back] - base) : (vf){0};
        e[back] = back <= most ? splat(s->scale) * p[back] * (e[back] - mean) : (vf){0};
        store(n->weights + back * row + t, p[back]);
        store(n->errors + back * row + t, e[back]);
    }
    blend_near(n->out + t, splat(1.0f), e, n->k + t, row, s->width, most);
}

/* Gradients of k and v are added to, key by key, where a sequence goes by tiles: from zero, where they are to be set. */
static void tiles_instead(const mg_call *call, const sight *s, const near_heads *h, int worker)
{
    for (int i = 1; i < 3; i++)
        for (int64_t t = 0; FLOATS(i) && call->array[i].set && t < s->length; t++)
            memset(FLOATS(i) + (h->k - s->k) + t * s->channels, 0, (size_t)h->channels * sizeof(float));
    tiles_backward_part((void *)call, h->b * s->n_head + h->head, h->b * s->n_head + h->head + h->heads, worker);
}

/* Whether all that backward reads of them is finite: the weight 0 wouldn't hide a folded neighbour's infinity. */
static int all_heads_finite(const mg_call *call, const sight *s, const near_heads *h)
{
    const float *const d_out = FLOATS(3) + (h->q - s->q);
    return all_finite(h->q, s->channels, s->length, h->channels) && all_finite(h->k, s->channels, s->length, h->channels) &&
           all_finite(h->v, s->channels, s->length, h->channels) && all_finite(d_out, s->channels, s->length, h->channels);
}

static int64_t near_backward_scratch(const sight *s) { return near_scratch(s, 5, 1, 2); }

static void near_backward_part(void *job, int64_t first, int64_t last, int worker) /* blocks of heads */
{
    const mg_call *call = job;
    const sight s = look(call, 6);
    const int64_t row = side_row(near_fold(&s) * s.length), before = call->team->threads * tiles_backward_scratch(&s);
    float *const scratch = (float *)call->workspace + before + worker * near_backward_scratch(&s);
    for (int64_t item = first; item < last; item++) {
        const near_heads h = take_heads(&s, item);
        const int64_t from = h.q - s.q;
        if (!is_near(&s, h.b) || (h.fold > 1 && !all_heads_finite(call, &s, &h))) {
            tiles_instead(call, &s, &h, worker);
            continue;
        }
        float *at = scratch;
        float *q = take_side(&at, h.q, s.channels, &h, s.width);
        float *k = take_side(&at, h.k, s.channels, &h, s.width);
        float *v = take_side(&at, h.v, s.channels, &h, s.width);
        float *d_out = take_side(&at, FLOATS(3) + from, s.channels, &h, s.width);
        float *out = take_side(&at, FLOATS(4) + from, s.channels, &h, s.width);
        float *lse = take_side(&at, FLOATS(5) + h.b * s.length * s.n_head + h.head, s.n_head, &h, 1);
        float *weights = take_lines(&at, h.length, NEAR_KEYS), *errors = take_lines(&at, h.length, NEAR_KEYS);
        vi near[LONGEST / LANES];
        int64_t most[LONGEST / LANES], most_of_all = 0;
        for (int64_t t = 0; t < h.length; t += LANES) {
            near[t / LANES] = near_lanes(&s, &h, t, &most[t / LANES]);
            most_of_all = most[t / LANES] > most_of_all ? most[t / LANES] : most_of_all;
        }
        for (int64_t i = 0; i < pieces(h.heads, h.fold); i++) {
            const int64_t to = i * s.width * row;
            const near_sides n = {q + to, d_out + to, lse + i * row, k + to, v + to, out + to, weights, errors};
            for (int64_t t = 0; t < h.length; t += LANES)
                near_errors(&s, &n, row, t, near[t / LANES], most[t / LANES], most_of_all);
            for (int64_t t = 0; t < h.length; t += LANES) {
                int64_t back = 0; /* of the queries that may see these keys */
                for (int64_t from_t = t; from_t < h.length && from_t < t + LANES + NEAR_KEYS; from_t += LANES)
                    back = most[from_t / LANES] > back ? most[from_t / LANES] : back;
                gather_near(n.k + t, errors + t, n.q + t, row, s.width, back);
                gather_near(n.v + t, weights + t, n.d_out + t, row, s.width, back);
            }
        }
        const float *sides[] = {out, k, v};
        for (int i = 0; i < 3; i++)
            if (FLOATS(i))
                put_side(FLOATS(i) + from, s.channels, sides[i], &h, s.width, !call->array[i].set);
    }
}
