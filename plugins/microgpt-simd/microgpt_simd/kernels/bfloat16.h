/* bfloat16: the upper half of a float32, so that a number keeps its range and 8 bits of its precision.

   Products of such numbers go by pairs: neighbours p and p + 1 along the axis that is summed share 32 bits, the first in
   the lower half. `dot_pairs` multiplies and adds both in one instruction where the level has it (AVX-512-BF16), and
   otherwise with two multiply-adds in float32. Sums are float32 always. */

#ifndef MG_BFLOAT16_H
#define MG_BFLOAT16_H

#include "turn.h"

#define UPPER_HALF splat_int((int32_t)0xffff0000)

/* Each number rounded to the nearest bfloat16, to the even one of two; NaN stays NaN. The lower half is zero. */
INLINE vf to_bfloat16(vf x)
{
    typedef uint32_t vu __attribute__((vector_size(4 * LANES)));
    vu bits = (vu)x, odd = (bits >> 16) & 1;
    vf rounded = (vf)((vi)(bits + 0x7fff + odd) & UPPER_HALF);
    return choose(x == x, rounded, (vf)(((vi)x & UPPER_HALF) | splat_int(0x00400000)));
}

/* The first or the second of each pair. */
INLINE vf half(vf pairs, int second) { return second ? (vf)((vi)pairs & UPPER_HALF) : (vf)((vi)pairs << 16); }

/* sum + a b, of the pairs' first numbers and of their second. */
INLINE vf dot_pairs(vf a, vf b, vf sum)
{
#if defined(__AVX512BF16__)
    return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#else
    return fma_(half(a, 1), half(b, 1), fma_(half(a, 0), half(b, 0), sum));
#endif
}

/* sum + a b, of numbers or of pairs. */
INLINE vf times(vf a, vf b, vf sum, const int paired) { return paired ? dot_pairs(a, b, sum) : fma_(a, b, sum); }

/* Pairs of what stands at one place in two rows: (first[i], second[i]) in lane i. */
INLINE vf pair_rows(vf first, vf second)
{
#if defined(__AVX512BF16__)
    const __m512i halves = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                            21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (vf)_mm512_permutexvar_epi16(halves, (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
#else
    typedef uint32_t vu __attribute__((vector_size(4 * LANES)));
    return (vf)(((vu)to_bfloat16(first) >> 16) | (vu)to_bfloat16(second));
#endif
}

/* Pairs of neighbours in a row: 2 LANES numbers, the first LANES in `low`. */
INLINE vf pair_neighbours(vf low, vf high)
{
#if defined(__AVX512BF16__)
    return (vf)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
#else
#define EVEN(i, s) 2 * (i)
#define ODD(i, s) 2 * (i) + 1
    return pair_rows(__builtin_shufflevector(low, high, EACH_LANE(EVEN, 0)),
                     __builtin_shufflevector(low, high, EACH_LANE(ODD, 0)));
#endif
}

/* Pairs of neighbours in the next n numbers of a row, 2 LANES at most; zeros after them. */
INLINE vf load_pairs(const float *p, int64_t n)
{
    if (n >= 2 * LANES)
        return pair_neighbours(load(p), load(p + LANES));
    return n > LANES ? pair_neighbours(load(p), load_n(p + LANES, n - LANES)) : pair_neighbours(load_n(p, n), (vf){0});
}

/* As turn_part, of pairs: the next 2 LANES numbers, or fewer, of LANES rows, or fewer. */
INLINE void turn_pairs(vf x[LANES], const float *from, int64_t stride, int64_t rows, int64_t numbers)
{
#pragma GCC unroll 16
    for (int64_t i = 0; i < LANES; i++)
        x[i] = i < rows ? load_pairs(from + i * stride, numbers) : (vf){0};
    turn(x);
}

/* As turn_block, of pairs. */
static __attribute__((noinline)) void turn_block_of_pairs(
    float *to, int64_t to_row, const float *from, int64_t row, int64_t rows, int64_t numbers)
{
    vf x[LANES];
    turn_pairs(x, from, row, rows, numbers);
#pragma GCC unroll 16
    for (int64_t i = 0; i < LANES; i++)
        if (2 * i < numbers)
            store(to + i * to_row, x[i]);
}

/* Rows 2 p and 2 p + 1 as the pairs to[p * width], of their next n numbers; the last of an odd number of rows is paired
   with zeros. */
INLINE void pair_two_rows(float *to, int64_t width, const float *from, int64_t stride, int64_t rows, int64_t n)
{
    for (int64_t p = 0; p < rows; p += 2, to += width, from += 2 * stride)
        for (int64_t i = 0; i < n; i += LANES) {
            const int64_t some = n - i < LANES ? n - i : LANES;
            soon(from + AHEAD * stride + i);
            soon(from + (AHEAD + 1) * stride + i);
            store(to + i, pair_rows(load_n(from + i, some), p + 1 < rows ? load_n(from + stride + i, some) : (vf){0}));
        }
}

#endif
