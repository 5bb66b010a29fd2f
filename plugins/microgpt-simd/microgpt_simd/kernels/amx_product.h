/* The product of bfloat16 numbers on AMX's tiles: for product.h, whose words these are.

   A and B are packed tile by tile, as pairs along k with zeros up to whole tiles. Then squares of C, 2 x 2 tiles, are
   summed in registers. Every number of C is one chain, whatever the blocks: each instruction adds 32 products to it, from
   the first 32 along k to the last. So a row alone has the same bits as in a batch, and few rows go the same way. */

#ifndef MG_AMX_PRODUCT_H
#define MG_AMX_PRODUCT_H

#include "amx.h"

#if HAS_AMX

_Static_assert(LANES == TILE, "a vector is a row of a tile");

enum { TILE_FLOATS = TILE * TILE };   /* that a tile takes the room of */
enum { SQUARE = 2 * TILE };           /* rows and columns of C at a time: 4 tiles of sums, 2 of A and 2 of B are all 8 */
enum { AMX_COLUMNS = 2 * COLUMNS };   /* of B that are packed at a time, into 512 KiB at most; A's 32 rows into 32 KiB */
enum { AMX_BENT = 4 * SQUARE };       /* columns of B that are bent at a time, into 256 KiB */

/* 16 lines of A, or columns of B, by 32 numbers along k: x[line] has their pairs where k goes along memory (line (i) at
   from + i * stride), and where lines do x[pair] has those of all lines (number p at from + p * stride). */
INLINE void pairs_along(vf x[TILE], const float *from, int64_t stride, int64_t lines, int64_t k)
{
#pragma GCC unroll 16
    for (int64_t i = 0; i < TILE; i++)
        x[i] = i < lines ? load_pairs(from + i * stride, k) : (vf){0};
}

INLINE void pairs_across(vf x[TILE], const float *from, int64_t stride, int64_t lines, int64_t k)
{
    const int64_t n = lines < TILE ? lines : TILE;
#pragma GCC unroll 16
    for (int64_t p = 0; p < 2 * TILE; p += 2)
        x[p / 2] = pair_rows(p < k ? load_n(from + p * stride, n) : (vf){0},
                             p + 1 < k ? load_n(from + (p + 1) * stride, n) : (vf){0});
}

/* Number (i, p) of `from` is that of line i at p of k. Tiles of 16 lines follow each other along k; in those of A (`left`)
   a row is a line, in those of B a pair. */
static void amx_pack(float *to, matrix from, int64_t lines, int64_t k, int left)
{
    const int along = from.column == 1;
    for (int64_t i = 0; i < lines; i += TILE)
        for (int64_t p = 0; p < k; p += 2 * TILE, to += TILE_FLOATS) {
            const float *at = from.at + i * from.row + p * from.column;
            vf x[TILE];
            if (along)
                pairs_along(x, at, from.row, lines - i, k - p);
            else
                pairs_across(x, at, from.column, lines - i, k - p);
            if (along != left)
                turn(x);
#pragma GCC unroll 16
            for (int q = 0; q < TILE; q++)
                store(to + q * TILE, x[q]);
        }
}

typedef struct { /* of C, up to SQUARE x SQUARE */
    float *c;
    int64_t c_row, rows, columns;
    const float *a, *b; /* packed: tiles of the first 16 rows along k, `tiles` of them, then those of the next 16 */
    int64_t tiles;
    const float *bias; /* NULL, or added to every row */
    int add;           /* whether C is added to */
} square;

/* Sum `high` x `wide` tiles, from what stands there (`begun`) or from zero. */
INLINE void sum_tiles(const square *s, float *c, int64_t c_row, int begun, const int high, const int wide)
{
    const int64_t row = c_row * (int64_t)sizeof(float);
    float *const lower = c + TILE * c_row;
    const float *a = s->a, *b = s->b;
    const int64_t next = s->tiles * TILE_FLOATS;
#define EACH_SUM(DO)                                                                   \
    DO(0, c);                                                                          \
    if (wide > 1)                                                                      \
        DO(1, c + TILE);                                                               \
    if (high > 1)                                                                      \
        DO(2, lower);                                                                  \
    if (high > 1 && wide > 1)                                                          \
        DO(3, lower + TILE)
#define FROM_ZERO(sum, at) amx_zero(sum)
#define FROM_C(sum, at) amx_load(sum, at, row)
#define TO_C(sum, at) amx_store(sum, at, row)
    if (begun) {
        EACH_SUM(FROM_C);
    } else {
        EACH_SUM(FROM_ZERO);
    }
    for (int64_t p = 0; p < s->tiles; p++, a += TILE_FLOATS, b += TILE_FLOATS) {
        amx_load(4, a, TILE_ROW);
        amx_load(6, b, TILE_ROW);
        amx_dot(0, 4, 6);
        if (wide > 1) {
            amx_load(7, b + next, TILE_ROW);
            amx_dot(1, 4, 7);
        }
        if (high > 1) {
            amx_load(5, a + next, TILE_ROW);
            amx_dot(2, 5, 6);
        }
        if (high > 1 && wide > 1)
            amx_dot(3, 5, 7);
    }
    EACH_SUM(TO_C);
}

static void sum_square(const square *s, float *c, int64_t c_row, int begun)
{
    switch (2 * (s->rows > TILE) + (s->columns > TILE)) {
    case 0:
        sum_tiles(s, c, c_row, begun, 1, 1);
        break;
    case 1:
        sum_tiles(s, c, c_row, begun, 1, 2);
        break;
    case 2:
        sum_tiles(s, c, c_row, begun, 2, 1);
        break;
    default:
        sum_tiles(s, c, c_row, begun, 2, 2);
    }
}

/* Where C ends inside a tile, or has a bias, its numbers go through a square of their own. */
static void run_square(const square *s)
{
    float room[SQUARE * SQUARE] = {0};
    if (!s->bias && s->rows % TILE == 0 && s->columns % TILE == 0) {
        sum_square(s, s->c, s->c_row, s->add);
        return;
    }
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t j = 0; j < s->columns; j += LANES) {
            const int64_t some = s->columns - j < LANES ? s->columns - j : LANES;
            vf x = s->add ? load_n(s->c + i * s->c_row + j, some) : (vf){0};
            store(room + i * SQUARE + j, s->bias ? x + load_n(s->bias + j, some) : x);
        }
    sum_square(s, room, SQUARE, 1);
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t j = 0; j < s->columns; j += LANES) {
            const int64_t some = s->columns - j < LANES ? s->columns - j : LANES;
            store_n(s->c + i * s->c_row + j, load(room + i * SQUARE + j), some);
        }
}

_Static_assert(SQUARE * STRETCH / 2 + AMX_COLUMNS * STRETCH / 2 + AMX_BENT * STRETCH <= PRODUCT_SCRATCH, "there is room");

/* n columns of B, from k0 along k on. */
static void amx_pack_b(float *to, float *room, const product *p, int64_t n0, int64_t n, int64_t k0, int64_t k)
{
    const bend f = bends_b(p);
    const int64_t step = f ? AMX_BENT : n;
    for (int64_t j = 0; j < n; j += step, to += step / TILE * pieces(k, 2 * TILE) * TILE_FLOATS) {
        const int64_t some = n - j < step ? n - j : step;
        matrix part = {p->b.at + k0 * p->b.row + (n0 + j) * p->b.column, p->b.row, p->b.column};
        if (f) {
            bend_rows(f, room, some, part.at, part.row, k, some);
            part = (matrix){room, some, 1};
        }
        amx_pack(to, (matrix){part.at, part.column, part.row}, some, k, 0);
    }
}

/* As product_in_tiles. */
static void amx_product(const product *p)
{
    const int64_t m = p->m, n = p->n, k = p->k;
    const matrix a = p->a;
    float *const packed_b = p->scratch + SQUARE * STRETCH / 2, *const room = packed_b + AMX_COLUMNS * STRETCH / 2;
    amx_begin();
    for (int64_t n0 = 0; n0 < n; n0 += AMX_COLUMNS) {
        const int64_t n_here = n - n0 < AMX_COLUMNS ? n - n0 : AMX_COLUMNS;
        for (int64_t k0 = 0; k0 < k; k0 += STRETCH) {
            const int64_t k_here = k - k0 < STRETCH ? k - k0 : STRETCH;
            square s = {.a = p->scratch, .c_row = p->c_row, .tiles = pieces(k_here, 2 * TILE), .add = p->add || k0 > 0};
            amx_pack_b(packed_b, room, p, n0, n_here, k0, k_here);
            for (int64_t m0 = 0; m0 < m; m0 += SQUARE) {
                matrix rows = {a.at + m0 * a.row + k0 * a.column, a.row, a.column};
                s.rows = m - m0 < SQUARE ? m - m0 : SQUARE;
                if (bends_a(p)) {
                    bend_rows(bends_a(p), room, k_here, rows.at, rows.row, s.rows, k_here);
                    rows = (matrix){room, k_here, 1};
                }
                amx_pack(p->scratch, rows, s.rows, k_here, 1);
                for (int64_t j = 0; j < n_here; j += SQUARE) {
                    s.columns = n_here - j < SQUARE ? n_here - j : SQUARE;
                    s.b = packed_b + j / TILE * s.tiles * TILE_FLOATS;
                    s.bias = p->bias && k0 == 0 ? p->bias + n0 + j : 0;
                    s.c = p->c + m0 * p->c_row + n0 + j;
                    run_square(&s);
                }
                if (k0 + k_here == k)
                    bend_c(p, p->c + m0 * p->c_row + n0, s.rows, n_here);
            }
        }
    }
    amx_end();
}

#endif
#endif
