/* LANES numbers that are computed side by side, wherever the compiler has vectors; without, they are an array.

   A product and a sum are never fused, so that each way gives the same bits. CLONES has a function compiled twice
   where that is free: once for the oldest processor, once for those with AVX2, which take half as many instructions. */

#ifndef MICROGPT_OPTIMIZERS_LANES_H
#define MICROGPT_OPTIMIZERS_LANES_H

#include <string.h>

enum { LANES = 8 };

#if defined(__GNUC__) && defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

#if defined(__GNUC__) && !defined(PLAIN_LANES) /* which tests say, to have the other way */
#define INLINE static inline __attribute__((always_inline))
typedef float lanes __attribute__((vector_size(4 * LANES)));

INLINE lanes splat(float x) { return x - (lanes){0}; }
INLINE lanes plus_product(lanes sum, lanes a, lanes b) { return sum + a * b; }
INLINE float lane(lanes x, int i) { return x[i]; }
#else
#define INLINE static inline
typedef struct lanes {
    float x[LANES];
} lanes;

INLINE lanes splat(float x)
{
    lanes out;
    for (int i = 0; i < LANES; i++)
        out.x[i] = x;
    return out;
}

INLINE lanes plus_product(lanes sum, lanes a, lanes b)
{
    for (int i = 0; i < LANES; i++)
        sum.x[i] += a.x[i] * b.x[i];
    return sum;
}

INLINE float lane(lanes x, int i) { return x.x[i]; }
#endif

INLINE lanes load(const float *from)
{
    lanes x;
    memcpy(&x, from, sizeof x);
    return x;
}

/* The first n numbers, and zeros. */
INLINE lanes load_some(const float *from, int64_t n)
{
    float x[LANES] = {0};
    memcpy(x, from, (size_t)n * sizeof *x);
    return load(x);
}

INLINE void store(float *to, lanes x, int64_t n) { memcpy(to, &x, (size_t)n * sizeof *to); }

INLINE float sum_lanes(lanes s)
{
    return ((lane(s, 0) + lane(s, 4)) + (lane(s, 2) + lane(s, 6))) +
           ((lane(s, 1) + lane(s, 5)) + (lane(s, 3) + lane(s, 7)));
}

#endif
