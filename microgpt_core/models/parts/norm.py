"""Norm: bring every token's numbers to one scale, then perhaps give each channel a learned gain and shift.

What "one scale" means is the op's: `rmsnorm` divides by the root mean square, `layernorm` takes the mean away too.
"""

from microgpt_core.components import Op
from microgpt_core.engine.tensor import Tensor
from microgpt_core.errors import require
from microgpt_core.models.parts.part import Parameter, Part


class Norm(Part):
    def __init__(self, op: Op, n_embd: int, weight: bool = False, bias: bool = False, eps: float | None = None) -> None:
        self.op = op
        self.weight = Parameter((n_embd,), mean=1.0, decay=False) if weight else None
        self.bias = Parameter((n_embd,), decay=False) if bias else None
        self.settings = {} if eps is None else {"eps": eps}
        for name, given in (("weight", weight), ("bias", bias)):
            known, needed = name in op.signature.inputs, name not in op.signature.optional
            require(known or not given, f"norm_{name}", "true", f"false, since {op.name} takes no {name}")
            require(given or not (known and needed), f"norm_{name}", "false", f"true, since {op.name} needs a {name}")
        known = eps is None or "eps" in op.signature.attributes
        require(known, "norm_eps", eps, f"null, since {op.name} has none")

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        gains = {name: p for name, p in (("weight", self.weight), ("bias", self.bias)) if p is not None}
        return self.op(x, **gains, **self.settings)  # type: ignore[no-any-return]
