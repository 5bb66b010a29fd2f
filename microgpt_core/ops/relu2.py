"""Squared ReLU: f(x) = max(x, 0)^2, f'(x) = 2 max(x, 0). So et al. 2021, Primer, arXiv:2109.08668."""

from microgpt_core.components import Unary


class ReLU2(Unary):
    flops = 2

    def f(self, x: float) -> float:
        return 0.0 if x <= 0.0 else x * x

    def df(self, x: float) -> float:
        return 0.0 if x <= 0.0 else 2.0 * x
