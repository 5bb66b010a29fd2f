"""Embedding: a learned row for every id."""

from microgpt_core import ops
from microgpt_core.engine.tensor import Tensor
from microgpt_core.models.parts.part import Parameter, Part


class Embedding(Part):
    def __init__(self, n_rows: int, n_embd: int, std: float) -> None:
        self.weight = Parameter((n_rows, n_embd), std)

    def forward(self, ids: Tensor) -> Tensor:  # ids (B, T) -> (B, T, C)
        return ops.embedding(ids, self.weight)  # type: ignore[no-any-return]
