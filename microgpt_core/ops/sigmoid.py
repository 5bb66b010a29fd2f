"""Sigmoid: f(x) = 1 / (1 + exp(-x)), between 0 and 1; f'(x) = f(x) (1 - f(x))."""

from microgpt_core.components import Unary, exp


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without losing a negative x's digits to the 1."""
    if x >= 0.0:
        return 1.0 / (1.0 + exp(-x))
    power = exp(x)
    return power / (1.0 + power)


class Sigmoid(Unary):
    flops = 4

    def f(self, x: float) -> float:
        return sigmoid(x)

    def df(self, x: float) -> float:
        y = sigmoid(x)
        return y * (1.0 - y)
