"""The feed-forward half of a block: widen, bend, narrow.

An activation that takes a gate (swiglu) gets a second widened copy of x, which decides what of the first passes.
"""

from microgpt_core.components import Op
from microgpt_core.engine.tensor import Tensor
from microgpt_core.models.parts.linear import Linear
from microgpt_core.models.parts.part import Part


class MLP(Part):
    def __init__(
        self, n_embd: int, n_hidden: int, activation: Op, std: float, output_std: float, bias: bool = False
    ) -> None:
        self.activation = activation
        self.fc1 = Linear(n_embd, n_hidden, std, bias)
        self.gate = Linear(n_embd, n_hidden, std, bias) if is_gated(activation) else None
        self.fc2 = Linear(n_hidden, n_embd, output_std, bias)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        gate = () if self.gate is None else (self.gate(x),)
        return self.fc2(self.activation(self.fc1(x), *gate))


def is_gated(activation: Op) -> bool:
    return "gate" in activation.signature.inputs
