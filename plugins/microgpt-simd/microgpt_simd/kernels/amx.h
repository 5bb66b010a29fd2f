/* AMX: eight registers that hold a tile each, of 16 rows by 64 bytes, and one instruction that multiplies two of them.

   A tile of A has 16 rows of 16 pairs of bfloat16 numbers along k, one of B 16 rows of pairs for 16 columns, one of sums
   16 x 16 floats. Below stands each operation twice: as an instruction, and in C (MG_AMX_IN_C) as Intel describes it, to
   be read, and for tests on processors without AMX. A tile's number is written as a digit, for the assembler's sake. */

#ifndef MG_AMX_H
#define MG_AMX_H

#if defined(MG_AMX_IN_C) || (defined(__AMX_TILE__) && defined(__AMX_BF16__))
#define HAS_AMX 1

#include "vector.h"

enum { TILE = 16 };                             /* rows, pairs of a row, columns of a tile */
enum { TILE_ROW = TILE * (int)sizeof(float) }; /* in bytes */

#if defined(MG_AMX_IN_C)

typedef struct {
    uint32_t row[TILE][TILE]; /* a float's bits in each, or a pair's, its first number in the lower half */
} amx_tile;

static _Thread_local amx_tile amx_tiles[8]; /* each thread has its own registers */

INLINE float as_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* What a thread does first: all tiles are 16 rows of 64 bytes from now on, and zero. */
INLINE void amx_begin(void) { memset(amx_tiles, 0, sizeof amx_tiles); }

/* And last: a core without tiles in use may rest deeper, and the system has less to save. */
INLINE void amx_end(void) { memset(amx_tiles, 0, sizeof amx_tiles); }

INLINE void amx_zero(int tile) { memset(&amx_tiles[tile], 0, sizeof(amx_tile)); }

/* 16 rows of 64 bytes that lie `stride` bytes apart. */
INLINE void amx_load(int tile, const void *from, int64_t stride)
{
    for (int i = 0; i < TILE; i++)
        memcpy(amx_tiles[tile].row[i], (const char *)from + i * stride, sizeof amx_tiles->row[i]);
}

INLINE void amx_store(int tile, void *to, int64_t stride)
{
    for (int i = 0; i < TILE; i++)
        memcpy((char *)to + i * stride, amx_tiles[tile].row[i], sizeof amx_tiles->row[i]);
}

/* sums += a b, of 32 numbers along k: the pairs' first numbers and their second are summed apart, from zero, then both
   sums together, and that is added. Each step rounds to the nearest even; denormals count as zero (always in AMX, here
   where the thread's mode says so, as it does inside the pack's calls). */
static void amx_dot(int sums, int a, int b)
{
    const amx_tile *left = &amx_tiles[a], *right = &amx_tiles[b];
    for (int m = 0; m < TILE; m++) {
        float first[TILE] = {0}, second[TILE] = {0};
        for (int k = 0; k < TILE; k++) {
            const uint32_t pair = left->row[m][k];
            for (int n = 0; n < TILE; n++) {
                const uint32_t other = right->row[k][n];
                first[n] = fmaf(as_float(pair << 16), as_float(other << 16), first[n]);
                second[n] = fmaf(as_float(pair & 0xffff0000), as_float(other & 0xffff0000), second[n]);
            }
        }
        for (int n = 0; n < TILE; n++) {
            const float sum = as_float(amx_tiles[sums].row[m][n]) + (first[n] + second[n]);
            memcpy(&amx_tiles[sums].row[m][n], &sum, sizeof sum);
        }
    }
}

#else

/* As LDTILECFG wants it: palette 1, and for each of the tiles the bytes of a row and how many rows. */
static const struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} amx_shapes = {.palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

/* GCC's intrinsics don't say that they read memory (those of GCC 12 don't): so what was written is there before them. */
INLINE void amx_written(void) { __asm__ volatile("" ::: "memory"); }

INLINE void amx_begin(void)
{
    amx_written();
    _tile_loadconfig(&amx_shapes);
}

INLINE void amx_end(void) { _tile_release(); }

#define amx_zero(tile) _tile_zero(tile)
#define amx_load(tile, from, stride)                                                   \
    do {                                                                               \
        amx_written();                                                                 \
        _tile_loadd(tile, from, stride);                                               \
    } while (0)
#define amx_store(tile, to, stride) _tile_stored(tile, to, stride)
#define amx_dot(sums, a, b) _tile_dpbf16ps(sums, a, b)

#endif
#endif
#endif
