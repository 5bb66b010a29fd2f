"""Causal self-attention: every token asks (q) what the tokens before it offer (k) and takes their v.

With fewer heads of k and v than of q, several questions share an offer: less to compute, and a smaller cache.
"""

from typing import NamedTuple

from microgpt_core import ops
from microgpt_core.components import Op
from microgpt_core.components.signature import REQUIRED
from microgpt_core.engine.tensor import Tensor
from microgpt_core.errors import require
from microgpt_core.models.parts.linear import Linear
from microgpt_core.models.parts.part import Part


class Cache(NamedTuple):
    """The keys and values of tokens already read, and the row at which the next ones go."""

    keys: Tensor  # (B, S, C of k)
    values: Tensor  # (B, S, C of k)
    start: Tensor  # (B,)


class SelfAttention(Part):
    def __init__(
        self,
        n_embd: int,
        n_head: int,
        std: float,
        output_std: float,
        *,
        op: Op = ops.attention,
        n_kv_head: int | None = None,
        window: int | None = None,
        rope_theta: float | None = None,
        bias: bool = False,
    ) -> None:
        self.op, self.n_head, self.n_kv_head, self.rope_theta = op, n_head, n_kv_head or n_head, rope_theta
        self.kv_width = n_embd // n_head * self.n_kv_head
        takes = op.signature.attributes
        require(window is None or "window" in takes, "window", window, f"null, since {op.name} takes no window")
        self.settings = {n: v for n, v in (("n_head", n_head), ("window", window)) if n in takes and v is not None}
        lacking = [n for n, default in takes.items() if default is REQUIRED and n not in self.settings]
        require(not lacking, "attention", f"{op!r}, which needs {' and '.join(lacking)}", "an op that does without")
        self.q = Linear(n_embd, n_embd, std, bias)
        self.k = Linear(n_embd, self.kv_width, std, bias)
        self.v = Linear(n_embd, self.kv_width, std, bias)
        self.o = Linear(n_embd, n_embd, output_std, bias)

    def forward(self, x: Tensor, positions: Tensor, cache: Cache | None) -> Tensor:  # x (B, T, C), positions (B, T)
        q, k, v, start = self.q(x), self.k(x), self.v(x), None
        if self.rope_theta is not None:
            q = ops.rope(q, positions, n_head=self.n_head, theta=self.rope_theta)
            k = ops.rope(k, positions, n_head=self.n_kv_head, theta=self.rope_theta)
        if cache is not None:
            ops.cache_write(cache.keys, k, cache.start)
            ops.cache_write(cache.values, v, cache.start)
            k, v, start = cache
        where = {"positions": positions, "start": start}
        taken = {name: t for name, t in where.items() if name in self.op.signature.inputs}
        mixed: Tensor = self.op(q, k, v, **taken, **self.settings)
        self.op.expect("out", mixed.shape, q.shape)
        return self.o(mixed)

    @property
    def can_cache(self) -> bool:
        """Whether the op can be told where q begins in longer k and v."""
        return "start" in self.op.signature.inputs
