"""SiLU, also called Swish: f(x) = x s(x) with s the sigmoid; f'(x) = s(x) (1 + x (1 - s(x))).

Elfwing et al. 2017, arXiv:1702.03118.
"""

from math import inf

from microgpt_core.components import Unary
from microgpt_core.ops.sigmoid import sigmoid


class SiLU(Unary):
    flops = 5

    def f(self, x: float) -> float:
        return silu(x)

    def df(self, x: float) -> float:
        return silu_slope(x)


def silu(x: float) -> float:
    return 0.0 if x == -inf else x * sigmoid(x)


def silu_slope(x: float) -> float:
    """The derivative of silu at x; 0 and 1 at the infinities, where it is a line."""
    s = sigmoid(x)
    return s + (x * s * (1.0 - s) if 0.0 < s < 1.0 else 0.0)
