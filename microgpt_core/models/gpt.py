"""GPT: a stack of blocks between an embedding and a head. Radford et al. 2019; Brown et al. 2020."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from math import isfinite

from microgpt_core.components import Op
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import ConfigurationError, require
from microgpt_core.models.model import Model
from microgpt_core.models.parts.attention import Cache, SelfAttention
from microgpt_core.models.parts.block import Block
from microgpt_core.models.parts.embedding import Embedding
from microgpt_core.models.parts.linear import Linear
from microgpt_core.models.parts.mlp import MLP


@dataclass(eq=False)
class GPT(Model):
    """A decoder-only transformer, pre-norm, with learned positions.

    Fields:
        vocab_size: the number of tokens; comes from the tokenizer
        block_size: the most tokens it sees at once
        n_layer: blocks, one after the other
        n_head: attention heads in each block
        n_embd: numbers per token; must be divisible by n_head
        mlp_ratio: the width of the MLP as a multiple of n_embd
        activation: the op between the MLP's two matrices
        norm: the op before each half of a block, and after the embedding
        init_std: standard deviation of the first weights
        init_output_std: the same for the matrices that write into the residual stream
    """

    use = "gpt"
    slots = {"activation": "activation", "norm": "norm"}

    block_size: int = 16
    n_layer: int = 1
    n_head: int = 4
    n_embd: int = 16
    mlp_ratio: int = 4
    activation: str | Op = "relu2"
    norm: str | Op = "rmsnorm"
    init_std: float = 0.02
    init_output_std: float = 0.0

    def __post_init__(self) -> None:
        self.check()
        std, output_std, norm = self.init_std, self.init_output_std, self.op("norm")
        self.wte = Embedding(self.vocab_size, self.n_embd, std)
        self.wpe = Embedding(self.block_size, self.n_embd, std)
        self.lm_head = Linear(self.n_embd, self.vocab_size, std)
        self.block = [
            Block(
                norm,
                SelfAttention(self.n_embd, self.n_head, std, output_std),
                MLP(self.n_embd, self.mlp_ratio * self.n_embd, self.op("activation"), std, output_std),
            )
            for _ in range(self.n_layer)
        ]
        self.embedding_norm = norm

    def forward(self, tokens: Tensor, positions: Tensor, caches: Sequence[Cache] | None = None) -> Tensor:
        x = self.embedding_norm(self.wte(tokens) + self.wpe(positions))  # (B, T, C)
        for block, cache in zip(self.block, caches or repeat(None)):
            x = block(x, positions, cache)
        return self.lm_head(x)  # (B, T, V)

    def caches(self, start: Tensor, rows: int) -> list[Cache]:
        def empty() -> Tensor:
            return Tensor(Value((start.shape[0], rows, self.n_embd), self.wte.weight.value.format, persistent=True))

        return [Cache(empty(), empty(), start) for _ in self.block]

    def check(self) -> None:
        """Raise ConfigurationError for sizes that no model can have."""
        for field in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd", "mlp_ratio"):
            value = getattr(self, field)
            require(isinstance(value, int) and value >= 1, field, value, "a whole number, 1 or more")
        for field in ("init_std", "init_output_std"):
            value = getattr(self, field)
            require(isfinite(value) and value >= 0, field, value, "0 or more")
        if self.n_embd % self.n_head:
            near = -(-self.n_embd // self.n_head) * self.n_head
            raise ConfigurationError(
                f"n_embd: found {self.n_embd}, which must be divisible by n_head = {self.n_head}; "
                f"{near}, for example, would be"
            )
