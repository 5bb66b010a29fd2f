/* The matrix product that every product of a GPT becomes: C (m, n) = A (m, k) B (k, n), or C += A B.

   Three loops would do:  for i, for j, for p: C[i][j] += A[i][p] * B[p][j].  What makes it fast is where the numbers lie:

   tile    up to 16 rows by up to 4 vectors of C are kept in registers while p goes over a stretch of k
   pack    the columns of B that a tile reads are copied beside one another first, where they lie far apart; so are A's
   share   the team's workers take rows of C, or columns where there are more of those

   Where the product is one of bfloat16 numbers, a pair of neighbours along k takes the place of one float, both in memory
   and in a register, and everything else stays as it is: see bfloat16.h. Such a product is always packed. Where the level
   has AMX it goes another way, in registers that hold whole tiles: see amx_product.h.

   Every number of C is the same sum in the same order, whatever the tile, the packing and the number of workers: over
   stretches of STRETCH numbers of k, one after the other, each summed from its first product to its last. So a row
   computed alone has the same bits as in a batch. */

#ifndef MG_PRODUCT_H
#define MG_PRODUCT_H

#include "bfloat16.h"
#include "share.h"
#include "vector.h"

enum { STRETCH = 512 };        /* of k: 512 rows of 64 packed columns are 128 KiB, 6 packed rows of A 12 KiB */
enum { COLUMNS = 16 * LANES }; /* of B that are packed at a time, into at most 512 KiB */
enum { ROWS = 96 };            /* of A that are packed at a time, into 192 KiB */
enum { NEAR = 16384 };         /* bytes that A may span to be read where it lies: half of the first cache */

typedef struct { /* number (i, j) is at[i * row + j * column] */
    const float *at;
    int64_t row, column;
} matrix;

typedef struct {
    int64_t k;
    matrix a;       /* mr rows */
    const float *b; /* row p at b + p * b_row */
    int64_t b_row;
    float *c;
    int64_t c_row;
    const float *bias; /* NULL, or added to every row */
    int add, last;     /* whether C is added to; how many lanes of the last vector count */
} tile;

/* The rows that a tile has for each number of vectors: as many sums as the registers hold beside what they read. */
#if LANES == 16
enum { MOST_VECTORS = 4 };
static const int most_rows[] = {0, 16, 12, 8, 6};
#else
enum { MOST_VECTORS = 3 };
static const int most_rows[] = {0, 12, 6, 4};
#endif

INLINE void run_tile(const tile *t, const int mr, const int nv, const int ragged, const int paired)
{
    const float *a = t->a.at, *b = t->b;
    const int64_t row = t->a.row, column = t->a.column, b_row = t->b_row;
    vf sum[16][4];
#pragma GCC unroll 16
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++)
            sum[i][j] = (vf){0};
    for (int64_t p = 0; p < t->k; p++, a += column, b += b_row) {
        vf right[4];
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++)
            right[j] = ragged && !paired && j == nv - 1 ? load_n(b + j * LANES, t->last) : load(b + j * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < mr; i++) {
            vf left = splat(a[i * row]);
#pragma GCC unroll 4
            for (int j = 0; j < nv; j++)
                sum[i][j] = paired ? dot_pairs(left, right[j], sum[i][j]) : fma_(left, right[j], sum[i][j]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < mr; i++) {
        float *c = t->c + i * t->c_row;
#pragma GCC unroll 4
        for (int j = 0; j < nv; j++, c += LANES) {
            const int part = ragged && j == nv - 1;
            vf total = sum[i][j];
            if (t->add)
                total += part ? load_n(c, t->last) : load(c);
            if (t->bias)
                total += part ? load_n(t->bias + j * LANES, t->last) : load(t->bias + j * LANES);
            if (part)
                store_n(c, total, t->last);
            else
                store(c, total);
        }
    }
}

#define TILE(mr, nv)                                                                   \
    static void tile_##mr##_##nv(const tile *t) { run_tile(t, mr, nv, 0, 0); }         \
    static void ragged_##mr##_##nv(const tile *t) { run_tile(t, mr, nv, 1, 0); }       \
    static void paired_##mr##_##nv(const tile *t) { run_tile(t, mr, nv, 1, 1); }
#define TILES_4(nv) TILE(1, nv) TILE(2, nv) TILE(3, nv) TILE(4, nv)
#define TILES_6(nv) TILES_4(nv) TILE(5, nv) TILE(6, nv)
#define TILES_8(nv) TILES_6(nv) TILE(7, nv) TILE(8, nv)
#define TILES_12(nv) TILES_8(nv) TILE(9, nv) TILE(10, nv) TILE(11, nv) TILE(12, nv)
#define TILES_16(nv) TILES_12(nv) TILE(13, nv) TILE(14, nv) TILE(15, nv) TILE(16, nv)
#define NAMES_4(kind, nv) kind##_1_##nv, kind##_2_##nv, kind##_3_##nv, kind##_4_##nv
#define NAMES_6(kind, nv) NAMES_4(kind, nv), kind##_5_##nv, kind##_6_##nv
#define NAMES_8(kind, nv) NAMES_6(kind, nv), kind##_7_##nv, kind##_8_##nv
#define NAMES_12(kind, nv) NAMES_8(kind, nv), kind##_9_##nv, kind##_10_##nv, kind##_11_##nv, kind##_12_##nv
#define NAMES_16(kind, nv) NAMES_12(kind, nv), kind##_13_##nv, kind##_14_##nv, kind##_15_##nv, kind##_16_##nv

typedef void (*run)(const tile *);
enum { WHOLE, RAGGED, PAIRED }; /* how a tile's last vector is, and what is multiplied */
#if LANES == 16
TILES_16(1) TILES_12(2) TILES_8(3) TILES_6(4)
static const run tiles[3][5][17] = {
    {{0}, {0, NAMES_16(tile, 1)}, {0, NAMES_12(tile, 2)}, {0, NAMES_8(tile, 3)}, {0, NAMES_6(tile, 4)}},
    {{0}, {0, NAMES_16(ragged, 1)}, {0, NAMES_12(ragged, 2)}, {0, NAMES_8(ragged, 3)}, {0, NAMES_6(ragged, 4)}},
    {{0}, {0, NAMES_16(paired, 1)}, {0, NAMES_12(paired, 2)}, {0, NAMES_8(paired, 3)}, {0, NAMES_6(paired, 4)}},
};
#else
TILES_12(1) TILES_6(2) TILES_4(3)
static const run tiles[3][4][13] = {
    {{0}, {0, NAMES_12(tile, 1)}, {0, NAMES_6(tile, 2)}, {0, NAMES_4(tile, 3)}},
    {{0}, {0, NAMES_12(ragged, 1)}, {0, NAMES_6(ragged, 2)}, {0, NAMES_4(ragged, 3)}},
    {{0}, {0, NAMES_12(paired, 1)}, {0, NAMES_6(paired, 2)}, {0, NAMES_4(paired, 3)}},
};
#endif

/* Cut n things into pieces of at most `most`, as equal as can be: where piece i begins. */
INLINE int64_t pieces(int64_t n, int64_t most) { return (n + most - 1) / most; }
INLINE int64_t piece(int64_t n, int64_t count, int64_t i) { return i * (n / count) + (i < n % count ? i : n % count); }

/* Copy rows of A beside one another, a tile's rows together: number (i, p) to to[p * mr + i]. */
static void pack_rows(float *to, matrix a, int64_t m, int64_t k, int64_t most)
{
    int64_t count = pieces(m, most);
    for (int64_t t = 0; t < count; t++) {
        int64_t first = piece(m, count, t), mr = piece(m, count, t + 1) - first;
        const float *from = a.at + first * a.row;
        if (a.row == 1) {
            for (int64_t p = 0; p < k; p++, to += mr, from += a.column)
                for (int64_t i = 0; i < mr; i += LANES) {
                    const int64_t some = mr - i < LANES ? mr - i : LANES;
                    store_n(to + i, load_n(from + i, some), some);
                }
        } else {
            for (int64_t p = 0; p < k; p++, to += mr, from += a.column)
                for (int64_t i = 0; i < mr; i++)
                    to[i] = from[i * a.row];
        }
    }
}

/* Copy n columns of B beside one another, with zeros up to a whole vector: row p to to + p * width. */
static void pack_columns(float *to, matrix b, int64_t k, int64_t n)
{
    int64_t width = pieces(n, LANES) * LANES;
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t some = n - j < LANES ? n - j : LANES;
        if (b.column == 1) {
            for (int64_t p = 0; p < k; p++)
                store(to + p * width + j, load_n(b.at + p * b.row + j, some));
            continue;
        }
        for (int64_t p = 0; p < k; p += LANES) { /* b.row is 1 */
            int64_t rows = k - p < LANES ? k - p : LANES;
            vf x[LANES];
            turn_part(x, b.at + j * b.column + p, b.column, some, rows);
#pragma GCC unroll 16
            for (int64_t i = 0; i < LANES; i++)
                if (i < rows)
                    store(to + (p + i) * width + j, x[i]);
        }
    }
}

/* The same as pairs of bfloat16: where they then lie, pair (i, p) for numbers (i, 2 p) and (i, 2 p + 1). */
static matrix pair_a(float *to, matrix a, int64_t m, int64_t k)
{
    if (a.column == 1) {
        const int64_t width = pieces(k, 2 * LANES) * LANES;
        for (int64_t i = 0; i < m; i++)
            for (int64_t p = 0; p < k; p += 2 * LANES)
                store(to + i * width + p / 2, load_pairs(a.at + i * a.row + p, k - p));
        return (matrix){to, width, 1};
    }
    const int64_t width = pieces(m, LANES) * LANES;
    for (int64_t i = 0; i < m; i += LANES)
        pair_two_rows(to + i, width, a.at + i, a.column, k, m - i);
    return (matrix){to, 1, width};
}

static void pair_columns(float *to, matrix b, int64_t k, int64_t n)
{
    const int64_t width = pieces(n, LANES) * LANES;
    for (int64_t j = 0; j < n; j += LANES) {
        if (b.column == 1) {
            pair_two_rows(to + j, width, b.at + j, b.row, k, n - j);
            continue;
        }
        for (int64_t p = 0; p < k; p += 2 * LANES) { /* b.row is 1 */
            vf x[LANES];
            turn_pairs(x, b.at + j * b.column + p, b.column, n - j, k - p);
#pragma GCC unroll 16
            for (int64_t i = 0; i < LANES; i++)
                if (p + 2 * i < k)
                    store(to + (p / 2 + i) * width + j, x[i]);
        }
    }
}

/* C = A B or C += A B, plus the bias, by one worker. Of A one axis and of B one axis has its numbers side by side. */
INLINE void product_alone(
    float *c, int64_t c_row, int64_t m, int64_t n, int64_t k, matrix a, matrix b, int add, const float *bias,
    float *scratch, const int paired)
{
    const int64_t stretch = paired ? 2 * STRETCH : STRETCH;
    const int64_t reach = b.column == 1 ? k * b.row : INT64_MAX / 8;
    const int packs_b = paired || b.column != 1 || (reach * 4 > 16 * NEAR && m > 2 * most_rows[1]);
    const int packs_a = paired || (a.column != 1 && k * a.column * 4 > NEAR);
    const int64_t columns = packs_b ? (m <= most_rows[1] ? MOST_VECTORS * LANES : COLUMNS) : n;
    const int64_t vectors = pieces(n < columns ? n : columns, LANES), most_v = vectors < MOST_VECTORS ? vectors : MOST_VECTORS;
    const int64_t most = most_rows[most_v];
    const int64_t rows = packs_a ? ROWS / most * most : m;
    float *const packed_b = scratch + ROWS * STRETCH;
    for (int64_t n0 = 0; n0 < n; n0 += columns) {
        const int64_t n_here = n - n0 < columns ? n - n0 : columns;
        const int64_t n_vectors = pieces(n_here, LANES), panels = pieces(n_vectors, most_v);
        for (int64_t k0 = 0; k0 < k; k0 += stretch) {
            const int64_t k_here = k - k0 < stretch ? k - k0 : stretch;
            tile t = {.k = paired ? pieces(k_here, 2) : k_here, .c_row = c_row, .add = add || k0 > 0};
            if (packs_b)
                for (int64_t j = 0; j < panels; j++) {
                    int64_t first = piece(n_vectors, panels, j) * LANES, last = piece(n_vectors, panels, j + 1) * LANES;
                    matrix part = {b.at + k0 * b.row + (n0 + first) * b.column, b.row, b.column};
                    last = last < n_here ? last : n_here;
                    if (paired)
                        pair_columns(packed_b + first * t.k, part, k_here, last - first);
                    else
                        pack_columns(packed_b + first * t.k, part, k_here, last - first);
                }
            for (int64_t m0 = 0; m0 < m; m0 += rows) {
                const int64_t m_here = m - m0 < rows ? m - m0 : rows, count = pieces(m_here, most);
                matrix some = {a.at + m0 * a.row + k0 * a.column, a.row, a.column};
                if (paired)
                    some = pair_a(scratch, some, m_here, k_here);
                else if (packs_a)
                    pack_rows(scratch, some, m_here, k_here, most);
                for (int64_t i = 0; i < count; i++) {
                    const int64_t row = piece(m_here, count, i), mr = piece(m_here, count, i + 1) - row;
                    t.a = packs_a && !paired ? (matrix){scratch + row * k_here, 1, mr}
                                             : (matrix){some.at + row * some.row, some.row, some.column};
                    for (int64_t j = 0; j < panels; j++) {
                        const int64_t v0 = piece(n_vectors, panels, j), nv = piece(n_vectors, panels, j + 1) - v0;
                        const int64_t first = v0 * LANES, end = first + nv * LANES;
                        t.last = end > n_here ? (int)(LANES - (end - n_here)) : LANES;
                        t.b = packs_b ? packed_b + first * t.k : b.at + k0 * b.row + n0 + first;
                        t.b_row = packs_b ? nv * LANES : b.row;
                        t.bias = bias && k0 + k_here == k ? bias + n0 + first : 0;
                        t.c = c + (m0 + row) * c_row + n0 + first;
                        tiles[paired ? PAIRED : t.last < LANES ? RAGGED : WHOLE][nv][mr](&t);
                    }
                }
            }
        }
    }
}

/* A few rows times a matrix on its side, such as one token's numbers times a weight: packing would cost more than
   multiplying, so LANES x LANES numbers at a time are turned in registers and used there. The sums are those of a tile. */
enum { FEW = 4 };

INLINE void product_few(
    float *c, int64_t c_row, const int m, int64_t n, int64_t k, matrix a, matrix b, int add, const float *bias,
    const int paired)
{
    const int64_t unit = paired ? 2 : 1, stretch = unit * STRETCH;
    for (int64_t j = 0; j < n; j += LANES) {
        const int64_t some = n - j < LANES ? n - j : LANES;
        for (int64_t k0 = 0; k0 < k; k0 += stretch) {
            const int64_t end = k - k0 < stretch ? k : k0 + stretch;
            vf sum[FEW];
#pragma GCC unroll 4
            for (int i = 0; i < m; i++)
                sum[i] = (vf){0};
            for (int64_t p = k0; p < end; p += unit * LANES) {
                const int64_t here = pieces(end - p < unit * LANES ? end - p : unit * LANES, unit);
                vf x[LANES];
                float left[FEW][LANES];
                if (paired)
                    turn_pairs(x, b.at + j * b.column + p, b.column, some, end - p);
                else
                    turn_part(x, b.at + j * b.column + p, b.column, some, here);
#pragma GCC unroll 4
                for (int i = 0; i < m; i++)
                    store(left[i], paired ? load_pairs(a.at + i * a.row + p, end - p) : load_n(a.at + i * a.row + p, here));
#pragma GCC unroll 16
                for (int q = 0; q < LANES; q++)
                    if (q < here)
#pragma GCC unroll 4
                        for (int i = 0; i < m; i++)
                            sum[i] = paired ? dot_pairs(splat(left[i][q]), x[q], sum[i]) : fma_(splat(left[i][q]), x[q], sum[i]);
            }
#pragma GCC unroll 4
            for (int i = 0; i < m; i++) {
                float *to = c + i * c_row + j;
                vf total = add || k0 ? sum[i] + load_n(to, some) : sum[i];
                store_n(to, bias && end == k ? total + load_n(bias + j, some) : total, some);
            }
        }
    }
}

#include "amx_product.h"

/* Floats of scratch that a product needs, for each worker. */
enum { PRODUCT_SCRATCH = ROWS * STRETCH + COLUMNS * STRETCH };

typedef struct {
    float *c;
    int64_t c_row, m, n, k;
    matrix a, b;
    int add;
    const float *bias;
    int paired; /* whether A and B are rounded to bfloat16 */
    float *scratch;
} product;

static void product_part(const product *p, int64_t m, int64_t n, float *c, matrix a, matrix b, const float *bias, int worker)
{
    float *scratch = p->scratch + worker * PRODUCT_SCRATCH;
    const int few = b.column != 1 && a.column == 1 && m <= FEW ? (int)m : 0;
#if HAS_AMX
    if (p->paired) {
        amx_product(c, p->c_row, m, n, p->k, a, b, p->add, bias, scratch);
        return;
    }
#endif
#define FEW_ROWS(m, paired)                                                            \
    case 2 * m + paired:                                                               \
        product_few(c, p->c_row, m, n, p->k, a, b, p->add, bias, paired);              \
        break;
    switch (2 * few + (p->paired != 0)) {
        FEW_ROWS(1, 0) FEW_ROWS(2, 0) FEW_ROWS(3, 0) FEW_ROWS(4, 0)
        FEW_ROWS(1, 1) FEW_ROWS(2, 1) FEW_ROWS(3, 1) FEW_ROWS(4, 1)
    case 1:
        product_alone(c, p->c_row, m, n, p->k, a, b, p->add, bias, scratch, 1);
        break;
    default:
        product_alone(c, p->c_row, m, n, p->k, a, b, p->add, bias, scratch, 0);
    }
}

static void product_rows(void *job, int64_t first, int64_t last, int worker)
{
    const product *p = job;
    matrix a = {p->a.at + first * p->a.row, p->a.row, p->a.column};
    product_part(p, last - first, p->n, p->c + first * p->c_row, a, p->b, p->bias, worker);
}

static void product_columns(void *job, int64_t first, int64_t last, int worker) /* in vectors */
{
    const product *p = job;
    const int64_t from = first * LANES, to = last * LANES < p->n ? last * LANES : p->n;
    matrix b = {p->b.at + from * p->b.column, p->b.row, p->b.column};
    product_part(p, p->m, to - from, p->c + from, p->a, b, p->bias ? p->bias + from : 0, worker);
}

/* Below so many multiply-adds a second worker costs more than it brings. */
enum { PRODUCT_ALONE = 1 << 18 };

static void multiply(const mg_call *call, product p)
{
    p.scratch = call->workspace;
    if (p.m * p.n * p.k < PRODUCT_ALONE)
        product_rows(&p, 0, p.m, 0);
    else if (p.m >= p.n)
        call->team->share(call->team, p.m, product_rows, &p);
    else
        call->team->share(call->team, pieces(p.n, LANES), product_columns, &p);
}

#endif
