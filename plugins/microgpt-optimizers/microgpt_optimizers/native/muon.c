/* Muon: momentum, Newton and Schulz's iteration, and the move. Formula: ../updates/muon_update.py.

   X has the fewer rows. Two products do all of the work: X X^T by dot products of rows, and a mixture of X's rows.
   Both sum in an order that depends on the place alone. */

#include "kernel.h"

enum { SIDE = 4, WIDE = 4 }; /* rows that a row is multiplied by, and vectors of columns that are mixed, at a time */

static const float LINEAR = 3.4445f, CUBIC = -4.775f, QUINTIC = 2.0315f;

typedef struct work {
    const mg_call *call;
    int64_t n, k;                  /* X is (n, k), with n at most k */
    float *x, *mixed, *gram, *mix; /* (n, k) twice, (n, n) twice */
    double *squares;               /* of each row of X */
    float scale;                   /* what X is multiplied by before the first round */
} work;

static int is_tall(const mg_call *call) { return call->array[0].rows > call->array[0].width; }

static void momentum_rows(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job;
    const mg_call *call = at->call;
    const int64_t width = call->array[0].width;
    const float old = (float)NUMBER(0), fresh = (float)((1 - NUMBER(0)) * FACTOR);
    const int nesterov = call->attribute[1].integer != 0, tall = is_tall(call);
    (void)worker;
    for (int64_t i = first; i < last; i++)
        for (int64_t j = 0; j < width; j++) {
            float *m = FLOATS(5) + i * width + j;
            const float g = fresh * FLOATS(1)[i * width + j];
            *m = old * *m + g;
            at->x[tall ? j * at->k + i : i * at->k + j] = nesterov ? old * *m + g : *m;
        }
}

static void row_squares(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job;
    (void)worker;
    for (int64_t i = first; i < last; i++)
        at->squares[i] = sum_of_squares(at->x + i * at->k, at->k, 1);
}

static void scale_rows(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job;
    (void)worker;
    for (int64_t i = first * at->k; i < last * at->k; i++)
        at->x[i] *= at->scale;
}

/* The dot products of row a with SIDE rows. */
INLINE void dots(float *out, const float *a, const float *const *b, int64_t k)
{
    lanes sums[SIDE];
    int64_t p = 0;
    for (int j = 0; j < SIDE; j++)
        sums[j] = splat(0);
    for (; p + LANES <= k; p += LANES)
        for (int j = 0; j < SIDE; j++)
            sums[j] = plus_product(sums[j], load(a + p), load(b[j] + p));
    if (p < k)
        for (int j = 0; j < SIDE; j++)
            sums[j] = plus_product(sums[j], load_some(a + p, k - p), load_some(b[j] + p, k - p));
    for (int j = 0; j < SIDE; j++)
        out[j] = sum_lanes(sums[j]);
}

/* Row i of a matrix times all rows from the i-th on, into row and column i of its gram matrix. */
INLINE void gram_row(float *gram, const float *x, int64_t i, int64_t n, int64_t k)
{
    for (int64_t j = i; j < n; j += SIDE) {
        const float *rows[SIDE];
        float found[SIDE];
        for (int s = 0; s < SIDE; s++)
            rows[s] = x + (j + s < n ? j + s : n - 1) * k;
        dots(found, x + i * k, rows, k);
        for (int s = 0; s < SIDE && j + s < n; s++)
            gram[i * n + j + s] = gram[(j + s) * n + i] = found[s];
    }
}

/* Item p is a long row and a short one of the half that is computed, so that all items are equally much. */
CLONES static void gram_rows(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job;
    (void)worker;
    for (int64_t p = first; p < last; p++) {
        gram_row(at->gram, at->x, p, at->n, at->k);
        if (at->n - 1 - p > p)
            gram_row(at->gram, at->x, at->n - 1 - p, at->n, at->k);
    }
}

CLONES static void square_rows(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job; /* a gram matrix is symmetric: its square is its own gram matrix */
    (void)worker;
    for (int64_t p = first; p < last; p++) {
        gram_row(at->mix, at->gram, p, at->n, at->n);
        if (at->n - 1 - p > p)
            gram_row(at->mix, at->gram, at->n - 1 - p, at->n, at->n);
    }
}

/* How many numbers the v-th vector of n numbers has. */
INLINE int64_t rest(int64_t n, int v) { return n - v * LANES < LANES ? n - v * LANES : LANES; }

/* mixed = LINEAR x + (CUBIC gram + QUINTIC gram^2) x: n columns of one row, from one on. */
INLINE void mix_columns(const work *at, int64_t i, int64_t from, int64_t n)
{
    const float *mix = at->mix + i * at->n, *x = at->x + from;
    lanes sums[WIDE];
    for (int v = 0; v < WIDE; v++)
        sums[v] = splat(0);
    if (n == WIDE * LANES)
        for (int64_t p = 0; p < at->n; p++)
            for (int v = 0; v < WIDE; v++)
                sums[v] = plus_product(sums[v], splat(mix[p]), load(x + p * at->k + v * LANES));
    else
        for (int64_t p = 0; p < at->n; p++)
            for (int v = 0; v * LANES < n; v++)
                sums[v] = plus_product(sums[v], splat(mix[p]), load_some(x + p * at->k + v * LANES, rest(n, v)));
    for (int v = 0; v * LANES < n; v++) {
        const lanes own = load_some(x + i * at->k + v * LANES, rest(n, v));
        store(at->mixed + i * at->k + from + v * LANES, plus_product(sums[v], splat(LINEAR), own), rest(n, v));
    }
}

CLONES static void mix_rows(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job;
    (void)worker;
    for (int64_t i = first; i < last; i++) {
        float *mix = at->mix + i * at->n;
        const float *gram = at->gram + i * at->n;
        for (int64_t p = 0; p < at->n; p++)
            mix[p] = CUBIC * gram[p] + QUINTIC * mix[p];
        for (int64_t from = 0; from < at->k; from += WIDE * LANES)
            mix_columns(at, i, from, at->k - from < WIDE * LANES ? at->k - from : WIDE * LANES);
    }
}

static void move_rows(void *job, int64_t first, int64_t last, int worker)
{
    const work *at = job;
    const mg_call *call = at->call;
    const int64_t width = call->array[0].width;
    const float keep = (float)(1 - (double)LR * NUMBER(2)), rate = (float)((double)LR * NUMBER(3));
    const int tall = is_tall(call);
    (void)worker;
    for (int64_t i = first; i < last; i++)
        for (int64_t j = 0; j < width; j++) {
            float *w = FLOATS(0) + i * width + j;
            *w = keep * *w - rate * at->x[tall ? j * at->k + i : i * at->k + j];
        }
}

static work laid_out(const mg_call *call)
{
    const int64_t rows = call->array[0].rows, width = call->array[0].width;
    work at = {.call = call, .n = rows < width ? rows : width, .k = rows < width ? width : rows};
    at.squares = call->workspace;
    at.x = (float *)(at.squares + at.n);
    at.mixed = at.x + at.n * at.k;
    at.gram = at.mixed + at.n * at.k;
    at.mix = at.gram + at.n * at.n;
    return at;
}

int64_t muon_workspace(const mg_call *call)
{
    const int64_t rows = call->array[0].rows, width = call->array[0].width, n = rows < width ? rows : width;
    return n * (int64_t)sizeof(double) + 2 * (rows * width + n * n) * (int64_t)sizeof(float);
}

int muon_update(const mg_call *call)
{
    if (!isfinite(FACTOR))
        return MG_OK;
    work at = laid_out(call);
    const int64_t size = call->array[0].size, half = (at.n + 1) / 2;
    double squares = 0;
    share(call, call->array[0].rows, size, momentum_rows, &at);
    share(call, at.n, size, row_squares, &at);
    for (int64_t i = 0; i < at.n; i++)
        squares += at.squares[i];
    const double norm = sqrt(squares), eps = NUMBER(5);
    at.scale = (float)(1 / (norm < eps ? eps : norm));
    share(call, at.n, size, scale_rows, &at);
    for (int64_t round = 0; round < call->attribute[4].integer; round++) {
        share(call, half, at.n * size, gram_rows, &at);
        share(call, half, at.n * at.n * at.n, square_rows, &at);
        share(call, at.n, at.n * size, mix_rows, &at);
        float *mixed = at.mixed;
        at.mixed = at.x;
        at.x = mixed;
    }
    share(call, call->array[0].rows, size, move_rows, &at);
    return MG_OK;
}
