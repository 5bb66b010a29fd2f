/* Numbers brought together for the tiles that read them, and work cut into pieces. */

#ifndef MG_PACKING_H
#define MG_PACKING_H

#include "tile.h"

/* n things cut into pieces of at most `most`, as equal as can be, and where piece i begins. */
typedef struct {
    int64_t count, size, more; /* the first `more` pieces have one thing more */
} cut;

INLINE int64_t pieces(int64_t n, int64_t most) { return (n + most - 1) / most; }
INLINE cut cut_up(int64_t n, int64_t most)
{
    if (n <= most) /* without a division, which takes as long as a whole tile of a small product */
        return (cut){1, n, 0};
    const int64_t count = pieces(n, most);
    return (cut){count, n / count, n % count};
}
INLINE int64_t piece(cut c, int64_t i) { return i * c.size + (i < c.more ? i : c.more); }

/* Copy rows of A that lie on their side closer together: where they then lie. */
static matrix pack_rows(float *to, matrix a, int64_t m, int64_t k)
{
    const int64_t width = pieces(m, LANES) * LANES;
    for (int64_t p = 0; p < k; p++)
        for (int64_t i = 0; i < m; i += LANES) {
            soon(a.at + (p + AHEAD) * a.column + i);
            store(to + p * width + i, load_n(a.at + p * a.column + i, m - i < LANES ? m - i : LANES));
        }
    return (matrix){to, 1, width};
}

/* Copy n columns of B beside one another, with zeros up to a whole vector: row p to to + p * width. */
static void pack_columns(float *to, matrix b, int64_t k, int64_t n)
{
    int64_t width = pieces(n, LANES) * LANES;
    if (b.column == 1) {
        for (int64_t p = 0; p < k; p++)
            for (int64_t j = 0; j < n; j += LANES) {
                soon(b.at + (p + AHEAD) * b.row + j);
                store(to + p * width + j, load_n(b.at + p * b.row + j, n - j < LANES ? n - j : LANES));
            }
        return;
    }
    for (int64_t j = 0; j < n; j += LANES) {
        int64_t some = n - j < LANES ? n - j : LANES;
        for (int64_t p = 0; p < k; p += LANES) /* b.row is 1 */
            turn_block(to + p * width + j, width, b.at + j * b.column + p, b.column, some, k - p < LANES ? k - p : LANES);
    }
}

/* How far apart rows lie that are pairs of their neighbours, and those that are pairs of two rows. */
INLINE int64_t width_along(int64_t width) { return pieces(width, 2 * LANES) * LANES; }
INLINE int64_t width_by_two(int64_t width) { return pieces(width, LANES) * LANES; }

/* The same as pairs of bfloat16: where they then lie, pair (i, p) for numbers (i, 2 p) and (i, 2 p + 1). */
static matrix pair_a(float *to, matrix a, int64_t m, int64_t k)
{
    if (a.column == 1) {
        const int64_t width = width_along(k);
        for (int64_t i = 0; i < m; i++)
            for (int64_t p = 0; p < k; p += 2 * LANES) {
                for (int64_t line = 0; line < 2 * LANES; line += 16)
                    soon(a.at + (i + LONG_AHEAD) * a.row + p + line);
                store(to + i * width + p / 2, load_pairs(a.at + i * a.row + p, k - p));
            }
        return (matrix){to, width, 1};
    }
    const int64_t width = width_by_two(m);
    pair_two_rows(to, width, a.at, a.column, k, m);
    return (matrix){to, 1, width};
}

static void pair_columns(float *to, matrix b, int64_t k, int64_t n)
{
    const int64_t width = width_by_two(n);
    if (b.column == 1) {
        pair_two_rows(to, width, b.at, b.row, k, n);
        return;
    }
    for (int64_t j = 0; j < n; j += LANES)
        for (int64_t p = 0; p < k; p += 2 * LANES) /* b.row is 1 */
            turn_block_of_pairs(to + p / 2 * width + j, width, b.at + j * b.column + p, b.column, n - j, k - p);
}

#endif
