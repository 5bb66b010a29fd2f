"""Linear: a learned matrix, stored as (out, in)."""

from microgpt_core import ops
from microgpt_core.engine.tensor import Tensor
from microgpt_core.models.parts.part import Parameter, Part


class Linear(Part):
    def __init__(self, n_in: int, n_out: int, std: float) -> None:
        self.weight = Parameter((n_out, n_in), std)

    def forward(self, x: Tensor) -> Tensor:  # x (B, T, I) -> (B, T, O)
        return ops.linear(x, self.weight)  # type: ignore[no-any-return]
