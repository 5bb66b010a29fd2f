/* exp, tanh and the normal distribution, vector by vector, to about one unit in the last place of float32.

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

INLINE vf power_of_two(vi n) { return (vf)((n + splat_int(127)) << 23); } /* n from -126 to 127 */

/* exp(x) = 2^n exp(r) with n whole and |r| <= log(2) / 2; ln 2 is taken in two parts so that r is exact. */
INLINE vf exp_(vf x)
{
    static const float fit[] = {EXP_FIT};
    const vf shift = splat(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
    x = choose(x > splat(90.0f), splat(90.0f), choose(x < splat(-106.0f), splat(-106.0f), x));
    vf whole = fma_(x, splat(1.44269504f), shift);
    vi n = (vi)whole - (vi)shift;
    whole -= shift;
    vf r = fma_(whole, splat(-0.693359375f), x);
    r = fma_(whole, splat(2.12194440e-4f), r);
    vf y = polynomial(r, fit, sizeof fit / sizeof *fit);
    vi half = n >> 1; /* in two steps, since 2^n alone may be too large or too small for a float */
    return y * power_of_two(half) * power_of_two(n - half);
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
