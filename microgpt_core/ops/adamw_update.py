"""AdamW: Adam with weight decay apart from the gradient. Loshchilov and Hutter 2019, arXiv:1711.05101.

    w <- w - lr weight_decay w

Then Adam's step, see adam_update.py.
"""

from math import isfinite, prod

from microgpt_core.components import Buffer, Cost, Shape, Shapes
from microgpt_core.ops.adam_update import AdamUpdate, adam


class AdamWUpdate(AdamUpdate):
    name = "adamw_update"

    def shapes(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, m: Shape, v: Shape,
        *, beta1: float = 0.9, beta2: float = 0.95, eps: float = 1e-8, weight_decay: float = 0.0,
    ) -> Shapes:  # fmt: skip
        return super().shapes(w, grad, factor, lr, step, m, v, beta1=beta1, beta2=beta2, eps=eps)

    def forward(
        self, w: Buffer, grad: Buffer, factor: Buffer, lr: Buffer, step: Buffer, m: Buffer, v: Buffer,
        *, beta1: float, beta2: float, eps: float, weight_decay: float = 0.0,
    ) -> None:  # fmt: skip
        # as in Adam
        if isfinite(factor[0]):
            adam(w, grad, factor[0], lr[0], step[0] + 1.0, m, v, beta1, beta2, eps, decay=lr[0] * weight_decay)

    def cost(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, m: Shape, v: Shape,
        *, beta1: float, beta2: float, eps: float, weight_decay: float = 0.0,
    ) -> Cost:  # fmt: skip
        """Adam's 13 per parameter, and 1 for the decay."""
        return {"forward": (14 if weight_decay else 13) * prod(w)}
