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
        given = [name for name, wanted in (("weight", weight), ("bias", bias), *self.settings.items()) if wanted]
        inputs, known = op.signature.inputs[1:], (*op.signature.inputs, *op.signature.attributes)
        lacking = [n for n in inputs if n not in given and n not in op.signature.optional]
        require(not lacking, "norm", f"{op!r}, which needs {' and '.join(lacking)}", "norm_weight and norm_bias: true")
        unknown = " and ".join(n for n in given if n not in known)
        require(not unknown, "norm", f"{op!r}, which takes no {unknown}", f"an op that does, or no norm_{unknown}")

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        gains = {name: p for name, p in (("weight", self.weight), ("bias", self.bias)) if p is not None}
        return self.op(x, **gains, **self.settings)  # type: ignore[no-any-return]
