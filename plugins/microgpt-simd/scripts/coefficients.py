"""Print the polynomials of microgpt_simd/kernels/functions.h: Chebyshev fits of the functions, with 40 digits.

python scripts/coefficients.py           (needs mpmath)
"""

from collections.abc import Callable

from mpmath import chebyfit, erfc, exp, log, mp, mpf, sqrt, tanh

mp.dps = 40
U = Callable[[mpf], mpf]


def normal_tail(s: mpf) -> mpf:
    """h(s) = (1 + u / 4) erfc(u) exp(u^2), where s = (4 - u) / (4 + u)."""
    u = 4 * (1 - s) / (1 + s)
    return (1 + u / 4) * erfc(u) * exp(u * u)


def tanh_rest(square: mpf) -> mpf:
    """(tanh(x) / x - 1) / x^2 as a function of x^2."""
    x = sqrt(square)
    return (tanh(x) / x - 1) / square


def log_rest(f: mpf) -> mpf:
    """(log(1 + f) - f + f^2 / 2) / f^3, at 0 its limit."""
    return (log(1 + f) - f + f * f / 2) / f**3 if abs(f) > mpf(10) ** -10 else mpf(1) / 3


FITS = {  # the function, where it is fitted, and how many coefficients it gets
    "EXP_FIT": (exp, [-0.3466, 0.3466], 7),
    "LOG_FIT": (log_rest, [-0.29290, 0.41422], 9),
    "TANH_FIT": (tanh_rest, [mpf(10) ** -12, 0.3907], 6),
    "TAIL_FIT": (normal_tail, [-0.9999999, 1], 13),
}

if __name__ == "__main__":
    for name, (function, interval, n) in FITS.items():
        coefficients, error = chebyfit(function, interval, n, error=True)
        print(f"/* {name}: error {float(error):.1e} */")
        print("#define", name, ", ".join(f"{float(c):.8e}f" for c in coefficients))
