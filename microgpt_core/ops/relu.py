"""ReLU: the positive part. f(x) = max(x, 0), f'(x) = 1 where x > 0, else 0."""

from microgpt_core.components import Unary


class ReLU(Unary):
    flops = 1

    def f(self, x: float) -> float:
        return 0.0 if x <= 0.0 else x

    def df(self, x: float) -> float:
        return 0.0 if x <= 0.0 else 1.0
