/* Sums of many vectors, lane by lane, whose error doesn't grow with their length.

   A float that numbers are added to keeps 24 bits of a sum that grows and grows: after n of them some n / 64 millionths of
   it may be lost. So only TERMS are added in floats, which loses half a millionth at most, and these sums in doubles. */

#ifndef MG_LONG_SUM_H
#define MG_LONG_SUM_H

#include "vector.h"

enum { TERMS = 32 };

typedef double vd __attribute__((vector_size(8 * LANES)));
typedef struct {
    vf part;  /* of the last terms */
    vd whole; /* of those before */
    int64_t terms;
} long_sum;

INLINE void count_term(long_sum *s)
{
    if (++s->terms % TERMS == 0) {
        s->whole += __builtin_convertvector(s->part, vd);
        s->part = (vf){0};
    }
}

INLINE void add_term(long_sum *s, vf x)
{
    s->part += x;
    count_term(s);
}

INLINE void add_product(long_sum *s, vf a, vf b)
{
    s->part = fma_(a, b, s->part);
    count_term(s);
}

/* Lane by lane. */
INLINE vf each_lane(const long_sum *s)
{
    if (s->terms < TERMS)
        return s->part;
    return __builtin_convertvector(s->whole + __builtin_convertvector(s->part, vd), vf);
}

/* All lanes together, in the order of sum_lanes. */
INLINE float all_lanes(const long_sum *s)
{
    if (s->terms < TERMS)
        return sum_lanes(s->part);
    vd sum = s->whole + __builtin_convertvector(s->part, vd);
    double half[LANES];
    memcpy(half, &sum, sizeof half);
    for (int n = LANES / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++)
            half[i] += half[i + n];
    return (float)half[0];
}

#endif
