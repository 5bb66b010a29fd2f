/* Rows on their side: a vector holds one number of each of LANES rows, so that what is a sum over a row adds up vectors,
   without a look at other lanes. It is what short rows want, which don't fill a vector of their own. */

#ifndef MG_SIDE_H
#define MG_SIDE_H

#include "turn.h"

/* n rows, at most LANES, on their side: (width, row), of which LANES are written. */
INLINE void on_side(float *to, int64_t row, const float *rows, int64_t stride, int64_t n, int64_t width)
{
    for (int64_t j = 0; j < width; j += LANES)
        turn_block(to + j * row, row, rows + j, stride, n, width - j < LANES ? width - j : LANES);
}

/* And back: written, or added. */
INLINE void off_side(float *rows, int64_t stride, int64_t n, const float *from, int64_t row, int64_t width, int add)
{
    for (int64_t j = 0; j < width; j += LANES)
        turn_back(rows + j, stride, from + j * row, row, width - j < LANES ? width - j : LANES, n, add);
}

#endif
