/* A tile of C: some rows by some vectors that stay in registers while p goes over a stretch of k, compiled for each number
   of rows and of vectors. Where numbers are bfloat16, a pair of neighbours along k takes the place of one float. */

#ifndef MG_TILE_H
#define MG_TILE_H

#include "bfloat16.h"
#include "vector.h"

typedef struct { /* number (i, j) is at[i * row + j * column] */
    const float *at;
    int64_t row, column;
} matrix;

INLINE matrix by_rows(const float *at, int64_t width) { return (matrix){at, width, 1}; }
INLINE matrix turned(const float *at, int64_t width) { return (matrix){at, 1, width}; }

typedef struct {
    int64_t k;
    matrix a;       /* mr rows */
    const float *b; /* row p at b + p * b_row */
    int64_t b_row;
    float *c;
    int64_t c_row;
    const float *bias; /* NULL, or added to every row */
    const float *next; /* what is read beside C when the tile is done: NULL, or lying as C does */
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

enum { LONG = 128 }; /* sums: while they are made, the lines of C that they go to can come from memory */

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
    if (t->k >= LONG && mr > 1)
#pragma GCC unroll 16
        for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
            for (int j = 0; j < nv; j++) {
                __builtin_prefetch(t->c + i * t->c_row + j * LANES, 1);
                if (t->next)
                    __builtin_prefetch(t->next + i * t->c_row + j * LANES);
            }
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
                sum[i][j] = times(left, right[j], sum[i][j], paired);
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

#define MAKE_TILE(mr, nv)                                                                   \
    static void tile_##mr##_##nv(const tile *t) { run_tile(t, mr, nv, 0, 0); }         \
    static void ragged_##mr##_##nv(const tile *t) { run_tile(t, mr, nv, 1, 0); }       \
    static void paired_##mr##_##nv(const tile *t) { run_tile(t, mr, nv, 1, 1); }
#define TILES_4(nv) MAKE_TILE(1, nv) MAKE_TILE(2, nv) MAKE_TILE(3, nv) MAKE_TILE(4, nv)
#define TILES_6(nv) TILES_4(nv) MAKE_TILE(5, nv) MAKE_TILE(6, nv)
#define TILES_8(nv) TILES_6(nv) MAKE_TILE(7, nv) MAKE_TILE(8, nv)
#define TILES_12(nv) TILES_8(nv) MAKE_TILE(9, nv) MAKE_TILE(10, nv) MAKE_TILE(11, nv) MAKE_TILE(12, nv)
#define TILES_16(nv) TILES_12(nv) MAKE_TILE(13, nv) MAKE_TILE(14, nv) MAKE_TILE(15, nv) MAKE_TILE(16, nv)
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

#endif
