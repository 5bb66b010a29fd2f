/* Rows on their side: a vector holds one number of each of LANES rows, so that what is a sum over a row adds up vectors,
   without a look at other lanes. It is what short rows want, which don't fill a vector of their own. */

#ifndef MG_SIDE_H
#define MG_SIDE_H

#include "loops.h"

/* n rows, at most LANES, on their side: (width, row), of which LANES are written. */
INLINE void on_side(float *to, int64_t row, const float *rows, int64_t stride, int64_t n, int64_t width)
{
    for (int64_t j = 0; j < width; j += LANES) {
        const int64_t some = width - j < LANES ? width - j : LANES;
        vf x[LANES];
        turn_part(x, rows + j, stride, n, some);
#pragma GCC unroll 16
        for (int64_t i = 0; i < LANES; i++)
            if (i < some)
                store(to + (j + i) * row, x[i]);
    }
}

/* And back: written, or added. */
INLINE void off_side(float *rows, int64_t stride, int64_t n, const float *from, int64_t row, int64_t width, int add)
{
    for (int64_t j = 0; j < width; j += LANES) {
        const int64_t some = width - j < LANES ? width - j : LANES;
        vf x[LANES];
        turn_part(x, from + j * row, row, some, LANES);
#pragma GCC unroll 16
        for (int64_t i = 0; i < LANES; i++)
            if (i < n) {
                float *at = rows + i * stride + j;
                put(at, add ? get(at, some) + x[i] : x[i], some);
            }
    }
}

#endif
