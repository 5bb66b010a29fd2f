"""GELU by tanh, as GPT-2 has it: within 0.0005 of the exact one, and older than fast error functions.

    u(x) = sqrt(2 / pi) (x + 0.044715 x^3)      u'(x) = sqrt(2 / pi) (1 + 0.134145 x^2)
    f(x) = x (1 + tanh u) / 2                   f'(x) = (1 + tanh u) / 2 + x (1 - tanh^2 u) u' / 2

Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2.
"""

from math import inf, pi, sqrt, tanh

from microgpt_core.components import Unary

SCALE, CUBIC = sqrt(2 / pi), 0.044715


class GELUTanh(Unary):
    name = "gelu_tanh"
    flops = 10

    def f(self, x: float) -> float:
        return 0.0 if x == -inf else 0.5 * x * (1.0 + tanh(SCALE * (x + CUBIC * x * x * x)))

    def df(self, x: float) -> float:
        t = tanh(SCALE * (x + CUBIC * x * x * x))
        flat = 1.0 - t * t  # 0 where x is large: there the curve is a line
        return 0.5 * (1.0 + t) + (0.5 * x * flat * SCALE * (1.0 + 3 * CUBIC * x * x) if flat else 0.0)
