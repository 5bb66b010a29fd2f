"""The feed-forward half of a block: widen, bend, narrow."""

from microgpt_core.components import Op
from microgpt_core.engine.tensor import Tensor
from microgpt_core.models.parts.linear import Linear
from microgpt_core.models.parts.part import Part


class MLP(Part):
    def __init__(self, n_embd: int, n_hidden: int, activation: Op, std: float, output_std: float) -> None:
        self.activation = activation
        self.fc1 = Linear(n_embd, n_hidden, std)
        self.fc2 = Linear(n_hidden, n_embd, output_std)

    def forward(self, x: Tensor) -> Tensor:  # (B, T, C)
        return self.fc2(self.activation(self.fc1(x)))
