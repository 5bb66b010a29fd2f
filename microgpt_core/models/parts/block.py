"""One layer: attention moves information between tokens, the MLP works on each; both are added to x.

The norm stands before each half (pre-norm), so that x itself runs through the whole model untouched, or after
each sum (post-norm), as in the first transformers. In training, a part of what is added may be dropped.
"""

from microgpt_core import ops
from microgpt_core.engine.tensor import Tensor
from microgpt_core.models.parts.attention import Cache, SelfAttention
from microgpt_core.models.parts.mlp import MLP
from microgpt_core.models.parts.norm import Norm
from microgpt_core.models.parts.part import Part


class Block(Part):
    def __init__(
        self,
        attention: SelfAttention,
        mlp: MLP,
        attention_norm: Norm,
        mlp_norm: Norm,
        post_norm: bool = False,
        dropout: float = 0.0,
        stream: int = 0,
    ) -> None:
        self.attention_norm, self.attention, self.mlp_norm, self.mlp = attention_norm, attention, mlp_norm, mlp
        self.post_norm, self.dropout, self.stream = post_norm, dropout, stream

    def forward(self, x: Tensor, positions: Tensor, cache: Cache | None, noise: Tensor | None) -> Tensor:
        # x (B, T, C), positions (B, T), noise (3,)
        if self.post_norm:
            x = self.attention_norm(x + dropped(self.attention(x, positions, cache), noise, self.dropout, self.stream))
            return self.mlp_norm(x + dropped(self.mlp(x), noise, self.dropout, self.stream + 1))
        change = self.attention(self.attention_norm(x), positions, cache)
        x = x + dropped(change, noise, self.dropout, self.stream)
        return x + dropped(self.mlp(self.mlp_norm(x)), noise, self.dropout, self.stream + 1)


def dropped(x: Tensor, noise: Tensor | None, p: float, stream: int) -> Tensor:
    """x with dropout where there is noise, which there is in training alone. Every place needs its own stream."""
    return x if noise is None or not p else ops.dropout(x, noise, p=p, stream=stream)
