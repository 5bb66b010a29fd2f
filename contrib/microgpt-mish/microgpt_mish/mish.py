"""Mish: f(x) = x tanh(ln(1 + e^x)), smooth and a little negative left of 0. Misra 2019, arXiv:1908.08681."""

from math import log1p, tanh

from microgpt_core.components import Unary, exp


class Mish(Unary):
    """x tanh(ln(1 + e^x)): smooth, a line to the right, nearly 0 to the left."""

    def f(self, x: float) -> float:
        return 0.0 if x < -745.0 else x * tanh(softplus(x))  # further left it is 0, also at minus infinity

    def df(self, x: float) -> float:
        t = tanh(softplus(x))
        bend = 1.0 - t * t  # 0 where x is large: there the curve is a line
        return t if bend == 0.0 or x < -745.0 else t + x * bend / (1.0 + exp(-x))


def softplus(x: float) -> float:
    """ln(1 + e^x), which is x where e^x would be too large for a float."""
    return x + log1p(exp(-x)) if x > 0 else log1p(exp(x))
