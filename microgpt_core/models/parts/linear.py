"""Linear: a learned matrix, stored as (out, in), and perhaps a bias."""

from microgpt_core import ops
from microgpt_core.engine.tensor import Tensor
from microgpt_core.models.parts.part import Parameter, Part


class Linear(Part):
    def __init__(self, n_in: int, n_out: int, std: float, bias: bool = False) -> None:
        self.weight = Parameter((n_out, n_in), std)
        self.bias = Parameter((n_out,), decay=False) if bias else None

    def forward(self, x: Tensor) -> Tensor:  # x (B, T, I) -> (B, T, O)
        return ops.linear(x, self.weight, self.bias)  # type: ignore[no-any-return]
