"""GELU: x times the chance that a standard normal number is below x. Hendrycks and Gimpel 2016, arXiv:1606.08415.

    P(x) = (1 + erf(x / sqrt(2))) / 2           f(x) = x P(x)           f'(x) = P(x) + x p(x)

p(x) = exp(-x^2 / 2) / sqrt(2 pi) is the normal density, P's derivative. `gelu_tanh` is the approximation of it.
"""

from math import erf, inf, pi, sqrt

from microgpt_core.components import Unary, exp

ROOT_HALF, DENSITY = sqrt(0.5), 1 / sqrt(2 * pi)


class GELU(Unary):
    flops = 8

    def f(self, x: float) -> float:
        return 0.0 if x == -inf else 0.5 * x * (1.0 + erf(ROOT_HALF * x))

    def df(self, x: float) -> float:
        density = DENSITY * exp(-0.5 * x * x)
        return 0.5 * (1.0 + erf(ROOT_HALF * x)) + (x * density if density else 0.0)
