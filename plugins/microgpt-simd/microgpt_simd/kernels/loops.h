/* Loops over numbers, vector by vector, with a shorter vector at the end. */

#ifndef MG_LOOPS_H
#define MG_LOOPS_H

#include "share.h"
#include "vector.h"

/* for i = first, first + LANES, ... below last, with n lanes each */
#define EACH_VECTOR(i, n, first, last) \
    for (int64_t i = (first), n; i < (last) && (n = (last) - i < LANES ? (last) - i : LANES, 1); i += LANES)

INLINE vf get(const float *p, int64_t n) { return n == LANES ? load(p) : load_n(p, n); }
INLINE void put(float *p, vf x, int64_t n)
{
    if (n == LANES)
        store(p, x);
    else
        store_n(p, x, n);
}

/* Write a gradient, or add to it. */
INLINE void give(const mg_array *d, int64_t at, vf x, int64_t n)
{
    float *p = (float *)d->data + at;
    put(p, d->set ? x : get(p, n) + x, n);
}

enum { ALONE = 1 << 15 }; /* below so many numbers a second worker costs more than it brings */

/* Number by number work is shared in whole vectors of the widest level, so that no two workers share one. */
enum { BLOCK = 64 };
INLINE int64_t blocks(int64_t n) { return (n + BLOCK - 1) / BLOCK; }
INLINE int64_t block_end(int64_t block, int64_t n) { return block * BLOCK < n ? block * BLOCK : n; }
INLINE void share_numbers(const mg_call *call, int64_t n, mg_part part)
{
    share(call, blocks(n), ALONE / BLOCK, part, (void *)call);
}
INLINE void share_rows_of(const mg_call *call, int64_t rows, int64_t width, mg_part part, void *job)
{
    share(call, rows, ALONE / (width < 1 ? 1 : width < ALONE ? width : ALONE) + 1, part, job);
}
INLINE void share_rows(const mg_call *call, int64_t rows, int64_t width, mg_part part)
{
    share_rows_of(call, rows, width, part, (void *)call);
}

#define FLOATS(i) ((float *)call->array[i].data)
#define INTS(i) ((int32_t *)call->array[i].data)

#endif
