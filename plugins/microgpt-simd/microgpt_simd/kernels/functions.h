/* exp, log, tanh and the normal distribution, vector by vector, to about one unit in the last place of float32.

   NaN stays NaN, and infinities give what the functions' limits are. Coefficients are Chebyshev fits of the functions
   themselves, computed with 40 digits: `python plugins/microgpt-simd/scripts/coefficients.py` prints them. */

#ifndef MG_FUNCTIONS_H
#define MG_FUNCTIONS_H

#include "coefficients.h"
#include "vector.h"

INLINE vf polynomial(vf x, const float *coefficient, int n) /* the highest power first */
{
    vf y = splat(coefficient[0]);
#pragma GCC unroll 16
    for (int i = 1; i < n; i++)
        y = fma_(y, x, splat(coefficient[i]));
    return y;
}

/* y 2^n, n whole and from -153 to 130. */
INLINE vf scaled(vf y, vf n)
{
#if LANES == 16
    return (vf)_mm512_scalef_ps((__m512)y, (__m512)n);
#else
    /* In two steps, since 2^n alone may be too large or too small for a float. */
    const vi whole = __builtin_convertvector(n, vi), half = whole >> 1, bias = splat_int(127);
    return y * (vf)((half + bias) << 23) * (vf)((whole - half + bias) << 23);
#endif
}

/* exp(x) = 2^n exp(r) with n whole and |r| <= log(2) / 2; ln 2 is taken in two parts so that r is exact. */
INLINE vf exp_(vf x)
{
    static const float fit[] = {EXP_FIT};
    const vf shift = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
    x = larger(splat(-106.0f), smaller(splat(90.0f), x));
    vf whole = fma_(x, splat(1.44269504f), shift) - shift;
    vf r = fma_(whole, splat(-0.693359375f), x);
    r = fma_(whole, splat(2.12194440e-4f), r);
    return scaled(polynomial(r, fit, sizeof fit / sizeof *fit), whole);
}

/* log(x) = e ln 2 + log(m) with m from sqrt(1/2) to sqrt(2), and log(1 + f) = f - f^2 / 2 + f^3 p(f). Denormals are
   taken for 0. */
INLINE vf log_(vf x)
{
    static const float fit[] = {LOG_FIT};
    const vi root_half = splat_int(0x3f3504f3), e = ((vi)x - root_half) >> 23;
    const vf f = (vf)((vi)x - (e << 23)) - splat(1.0f), whole = __builtin_convertvector(e, vf), square = f * f;
    vf y = f * square * polynomial(f, fit, sizeof fit / sizeof *fit);
    y = fma_(whole, splat(-2.12194440e-4f), y) - splat(0.5f) * square + f;
    y = fma_(whole, splat(0.693359375f), y);
    y = choose(x < splat(1.17549435e-38f), splat(-INFINITY), y); /* 0; below it comes NaN */
    y = choose(x < (vf){0}, splat(NAN), y);
    return choose(x < splat(INFINITY), y, x); /* infinity and NaN are their own logarithms */
}

INLINE vf sigmoid_(vf x) { return splat(1.0f) / (splat(1.0f) + exp_(-x)); }

/* Near 0 a series in x^2, so that small numbers keep their digits; elsewhere 1 - 2 / (exp(2 |x|) + 1). */
INLINE vf tanh_(vf x)
{
    static const float fit[] = {TANH_FIT};
    vf size = magnitude(x), square = x * x;
    vf near = fma_(x * square, polynomial(square, fit, sizeof fit / sizeof *fit), x);
    vf far = splat(1.0f) - splat(2.0f) / (exp_(size + size) + splat(1.0f));
    return choose(size < splat(0.625f), near, with_sign_of(far, x));
}

/* P(-|x|) of the normal distribution: with u = |x| / sqrt(2) and s = (4 - u) / (4 + u), a number between -1 and 1,
   it is exp(-u^2) h(s) (1 + s) / 4, where h is smooth (Shepherd and Laframboise 1981, doi:10.2307/2007741). */
INLINE vf normal_tail(vf x)
{
    static const float fit[] = {TAIL_FIT};
    vf size = magnitude(x);
    size = choose(size > splat(40.0f), splat(40.0f), size); /* P(-40) is 0 already, and 40 * 0 isn't NaN */
    vf u = size * splat(0.70710678f);
    vf s = (splat(4.0f) - u) / (splat(4.0f) + u);
    vf power = exp_(-splat(0.5f) * size * size);
    return power * polynomial(s, fit, sizeof fit / sizeof *fit) * (splat(1.0f) + s) * splat(0.25f);
}

#endif
