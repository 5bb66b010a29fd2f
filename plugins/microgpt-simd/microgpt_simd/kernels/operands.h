/* What a product works on: A, B and C, and how the numbers that tiles read are brought together, from where they lie or
   bent by an activation on their way. */

#ifndef MG_OPERANDS_H
#define MG_OPERANDS_H

#include "packing.h"
#include "tile.h"

enum { STRETCH = 512 };        /* of k: 512 rows of 64 packed columns are 128 KiB */
enum { COLUMNS = 16 * LANES }; /* of B that are packed at a time, into at most 512 KiB */
enum { PAIRED_COLUMNS = 24 * LANES }; /* in bfloat16 768 KiB: packing A once more would cost twice the share of the time */
enum { ROWS = 96 };            /* of A that are packed at a time, into 192 KiB */
enum { NEAR = 16384 };         /* bytes that A may span to be read where it lies: half of the first cache */

/* n numbers bent by an activation: y = f(x), or y *= f'(x). */
typedef void (*bend)(float *y, const float *x, int64_t n);

/* Where A, or B, is f of what stands there, it is bent while it is packed, and C by f' while it is near: nobody writes f's
   results to memory, and nobody reads them from there. Rows of what is bent have their numbers side by side. */
typedef struct {
    bend a, b, c;   /* NULL where there is nothing to bend */
    const float *x; /* what C is bent by, lying as C does from `first` on */
    const float *first;
} bends;

/* C = A B or C += A B, plus the bias. Of A one axis and of B one axis has its numbers side by side. */
typedef struct {
    float *c;
    int64_t c_row, m, n, k;
    matrix a, b;
    int add;
    const float *bias;
    const bends *bent;            /* or NULL */
    int paired;                   /* whether A and B are rounded to bfloat16 */
    int a_is_paired, b_is_paired; /* and whether they are pairs already: along rows of A, or two rows of B a row */
    float *scratch;
} product;

INLINE bend bends_a(const product *p) { return p->bent ? p->bent->a : 0; }
INLINE bend bends_b(const product *p) { return p->bent ? p->bent->b : 0; }

/* m rows of n numbers bent: in one go where they follow one another on both sides. */
INLINE void bend_rows(bend f, float *to, int64_t to_row, const float *from, int64_t row, int64_t m, int64_t n)
{
    if (to_row == n && row == n)
        f(to, from, m * n);
    else
        for (int64_t i = 0; i < m; i++)
            f(to + i * to_row, from + i * row, n);
}

/* The next m rows by n columns of C, as soon as they are summed. */
INLINE void bend_c(const product *p, float *c, int64_t m, int64_t n)
{
    if (p->bent && p->bent->c)
        bend_rows(p->bent->c, c, p->c_row, p->bent->x + (c - p->bent->first), p->c_row, m, n);
}

/* Floats of scratch that a worker needs: packed rows, then packed columns. Rows a power of two apart would share lines of
   the first cache, so that packed ones may lie a vector further apart. */
enum { PACKED_A = ROWS * (STRETCH + LANES), PACKED_B = PAIRED_COLUMNS * STRETCH, PRODUCT_SCRATCH = PACKED_A + PACKED_B };

/* Pack the panels of B that are read together. */
INLINE void pack_b(float *to, const product *p, cut panels, int64_t k0, int64_t k, int64_t n0, int64_t n, const int paired)
{
    for (int64_t j = 0; j < panels.count; j++) {
        const int64_t first = piece(panels, j) * LANES, end = piece(panels, j + 1) * LANES, last = end < n ? end : n;
        const int64_t row = p->b_is_paired ? k0 / 2 : k0;
        const matrix part = {p->b.at + row * p->b.row + (n0 + first) * p->b.column, p->b.row, p->b.column};
        if (p->b_is_paired)
            pack_columns(to + first * pieces(k, 2), part, pieces(k, 2), last - first);
        else if (paired)
            pair_columns(to + first * pieces(k, 2), part, k, last - first);
        else
            pack_columns(to + first * k, part, k, last - first);
    }
}

/* As pack_b, of B's rows bent: a panel's, or as pairs those of all panels two at a time. */
INLINE void pack_bent_b(float *to, const product *p, cut panels, int64_t k0, int64_t k, int64_t n0, int64_t n, const int paired)
{
    const bend f = p->bent->b;
    const float *from = p->b.at + k0 * p->b.row + n0;
    float bent[2][PAIRED_COLUMNS];
    if (!paired)
        for (int64_t j = 0; j < panels.count; j++) {
            const int64_t first = piece(panels, j) * LANES, end = piece(panels, j + 1) * LANES, last = end < n ? end : n;
            for (int64_t q = 0; q < k; q++) {
                for (int64_t i = first; i < last; i += LANES)
                    soon(from + (q + AHEAD) * p->b.row + i);
                f(to + first * k + q * (end - first), from + q * p->b.row + first, last - first);
            }
        }
    else
        for (int64_t q = 0; q < k; q += 2, from += 2 * p->b.row) {
            const int64_t rows = k - q < 2 ? 1 : 2;
            for (int64_t i = 0; i < n; i += LANES) {
                soon(from + AHEAD * p->b.row + i);
                soon(from + (AHEAD + 1) * p->b.row + i);
            }
            bend_rows(f, bent[0], PAIRED_COLUMNS, from, p->b.row, rows, n);
            for (int64_t j = 0; j < panels.count; j++) {
                const int64_t first = piece(panels, j) * LANES, end = piece(panels, j + 1) * LANES;
                const matrix part = {bent[0] + first, PAIRED_COLUMNS, 1};
                pair_columns(to + first * pieces(k, 2) + q / 2 * (end - first), part, rows, (end < n ? end : n) - first);
            }
        }
}

/* Pack rows of A that are read together: where they then lie. */
INLINE matrix pack_a(const product *p, matrix some, int64_t m, int64_t k, const int paired)
{
    const bend f = bends_a(p);
    if (!f)
        return paired ? pair_a(p->scratch, some, m, k) : pack_rows(p->scratch, some, m, k);
    const int64_t width = paired ? width_along(k) : k + LANES;
    float bent[2 * STRETCH];
    for (int64_t i = 0; i < m; i++) {
        float *const to = p->scratch + i * width;
        f(paired ? bent : to, some.at + i * some.row, k);
        if (paired)
            pair_a(to, (matrix){bent, 0, 1}, 1, k);
    }
    return (matrix){p->scratch, width, 1};
}

#endif
