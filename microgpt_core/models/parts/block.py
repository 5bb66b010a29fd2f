"""One layer: attention moves information between tokens, the MLP works on each; both are added to x."""

from microgpt_core.components import Op
from microgpt_core.engine.tensor import Tensor
from microgpt_core.models.parts.attention import Cache, SelfAttention
from microgpt_core.models.parts.mlp import MLP
from microgpt_core.models.parts.part import Part


class Block(Part):
    def __init__(self, norm: Op, attention: SelfAttention, mlp: MLP) -> None:
        self.norm, self.attention, self.mlp = norm, attention, mlp

    def forward(self, x: Tensor, positions: Tensor, cache: Cache | None) -> Tensor:  # x (B, T, C), positions (B, T)
        x = x + self.attention(self.norm(x), positions, cache)
        return x + self.mlp(self.norm(x))
