/* Vectors of LANES floats, as wide as this level has them, and the few things that are done with them.

   Arithmetic is written with the compiler's own vectors (a * b + c); what those lack is named here, once per level. */

#ifndef MG_VECTOR_H
#define MG_VECTOR_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define LANES 16
#elif defined(__AVX2__)
#include <immintrin.h>
#define LANES 8
#else
#define LANES 4
#if defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__SSE2__)
#include <immintrin.h>
#endif
#endif

#define INLINE static inline __attribute__((always_inline, unused))

typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES))); /* a mask has all bits of a lane or none */
typedef float vf_anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t vi_anywhere __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE vf splat(float x) { return x - (vf){0}; }
INLINE vi splat_int(int32_t x) { return x - (vi){0}; }
INLINE vf load(const float *p) { return *(const vf_anywhere *)p; }
INLINE void store(float *p, vf x) { *(vf_anywhere *)p = x; }

/* Numbers that will be read soon, from rows that lie too far apart for the processor to foresee it. */
enum { AHEAD = 16, LONG_AHEAD = 2 }; /* rows: short pieces of them, and pieces of up to 4 KiB */
INLINE void soon(const float *p) { __builtin_prefetch(p); }

INLINE vi lane_numbers(void)
{
#if LANES == 16
    return (vi){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif LANES == 8
    return (vi){0, 1, 2, 3, 4, 5, 6, 7};
#else
    return (vi){0, 1, 2, 3};
#endif
}

/* a b + c, rounded once where the level can (baseline x86-64 rounds twice). */
INLINE vf fma_(vf a, vf b, vf c)
{
#if LANES == 16
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif LANES == 8
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (vf)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* The first n numbers, zeros after them; n from 0 to LANES. Nothing behind them is read. */
INLINE vf load_n(const float *p, int64_t n)
{
#if LANES == 16
    return (vf)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif LANES == 8
    return (vf)_mm256_maskload_ps(p, (__m256i)(lane_numbers() < splat_int((int32_t)n)));
#else
    vf x = {0};
    for (int64_t i = 0; i < n; i++)
        x[i] = p[i];
    return x;
#endif
}

INLINE void store_n(float *p, vf x, int64_t n)
{
#if LANES == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)x);
#elif LANES == 8
    _mm256_maskstore_ps(p, (__m256i)(lane_numbers() < splat_int((int32_t)n)), (__m256)x);
#else
    for (int64_t i = 0; i < n; i++)
        p[i] = x[i];
#endif
}

/* Lane by lane, a where the mask is set, else b. */
INLINE vi choose_int(vi mask, vi a, vi b) { return (mask & a) | (~mask & b); }
INLINE vf choose(vi mask, vf a, vf b) { return (vf)choose_int(mask, (vi)a, (vi)b); }
INLINE vi larger_int(vi a, vi b) { return choose_int(a > b, a, b); }

/* a > b ? a : b, so that where one of them is NaN it is b; and a < b ? a : b likewise. */
#if LANES == 16
#define EITHER(which, sign, a, b) ((vf)_mm512_##which##_ps((__m512)a, (__m512)b))
#elif LANES == 8
#define EITHER(which, sign, a, b) ((vf)_mm256_##which##_ps((__m256)a, (__m256)b))
#elif defined(__SSE2__)
#define EITHER(which, sign, a, b) ((vf)_mm_##which##_ps((__m128)a, (__m128)b))
#else
#define EITHER(which, sign, a, b) choose(a sign b, a, b)
#endif
INLINE vf larger(vf a, vf b) { return EITHER(max, >, a, b); }
INLINE vf smaller(vf a, vf b) { return EITHER(min, <, a, b); }
#undef EITHER

INLINE vf magnitude(vf x) { return (vf)((vi)x & splat_int(0x7fffffff)); }
INLINE vf with_sign_of(vf x, vf sign) { return (vf)((vi)x | ((vi)sign & splat_int(INT32_MIN))); }

INLINE vf root(vf x)
{
#if LANES == 16
    return (vf)_mm512_sqrt_ps((__m512)x);
#elif LANES == 8
    return (vf)_mm256_sqrt_ps((__m256)x);
#else
    for (int i = 0; i < LANES; i++)
        x[i] = sqrtf(x[i]);
    return x;
#endif
}

#if LANES == 16
#define EACH_LANE(F, s) \
    F(0, s), F(1, s), F(2, s), F(3, s), F(4, s), F(5, s), F(6, s), F(7, s), F(8, s), F(9, s), F(10, s), F(11, s), \
        F(12, s), F(13, s), F(14, s), F(15, s)
#elif LANES == 8
#define EACH_LANE(F, s) F(0, s), F(1, s), F(2, s), F(3, s), F(4, s), F(5, s), F(6, s), F(7, s)
#else
#define EACH_LANE(F, s) F(0, s), F(1, s), F(2, s), F(3, s)
#endif

/* Lanes in pairs, then pairs of pairs, in registers and in a fixed order: lane i meets lane i + s. */
#define FURTHER(i, s) ((i) + (s)) % LANES
#define MEET(x, s) __builtin_shufflevector(x, x, EACH_LANE(FURTHER, s))
#if LANES == 16
#define EACH_HALF(F) F(8) F(4) F(2) F(1)
#elif LANES == 8
#define EACH_HALF(F) F(4) F(2) F(1)
#else
#define EACH_HALF(F) F(2) F(1)
#endif

INLINE float sum_lanes(vf x)
{
#define ADD(s) x += MEET(x, s);
    EACH_HALF(ADD)
    return x[0];
}

INLINE float largest_lane(vf x)
{
#define KEEP_LARGER(s) x = larger(MEET(x, s), x);
    EACH_HALF(KEEP_LARGER)
    return x[0];
}

INLINE int32_t largest_int_lane(vi x)
{
#define KEEP_LARGER_INT(s) x = larger_int(MEET(x, s), x);
    EACH_HALF(KEEP_LARGER_INT)
    return x[0];
}

#endif
