"""Causal self-attention: every token asks (q) what the tokens before it offer (k) and takes their v."""

from typing import NamedTuple

from microgpt_core import ops
from microgpt_core.engine.tensor import Tensor
from microgpt_core.models.parts.linear import Linear
from microgpt_core.models.parts.part import Part


class Cache(NamedTuple):
    """The keys and values of tokens already read, and the row at which the next ones go."""

    keys: Tensor  # (B, S, C)
    values: Tensor  # (B, S, C)
    start: Tensor  # (B,)


class SelfAttention(Part):
    def __init__(self, n_embd: int, n_head: int, std: float, output_std: float) -> None:
        self.n_head = n_head
        self.q = Linear(n_embd, n_embd, std)
        self.k = Linear(n_embd, n_embd, std)
        self.v = Linear(n_embd, n_embd, std)
        self.o = Linear(n_embd, n_embd, output_std)

    def forward(self, x: Tensor, positions: Tensor, cache: Cache | None) -> Tensor:  # x (B, T, C), positions (B, T)
        q, k, v, start = self.q(x), self.k(x), self.v(x), None
        if cache is not None:
            ops.cache_write(cache.keys, k, cache.start)
            ops.cache_write(cache.values, v, cache.start)
            k, v, start = cache
        return self.o(ops.attention(q, k, v, positions, start, n_head=self.n_head))
