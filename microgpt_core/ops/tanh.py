"""The hyperbolic tangent, between -1 and 1; its derivative at x is 1 - tanh(x)^2."""

from math import tanh

from microgpt_core.components import Unary


class Tanh(Unary):
    flops = 4

    def f(self, x: float) -> float:
        return tanh(x)

    def df(self, x: float) -> float:
        return 1.0 - tanh(x) ** 2
