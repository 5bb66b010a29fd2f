"""An average of the weights over the steps: what is evaluated and saved in their place. Polyak and Juditsky 1992.

    seen <- seen + 1
    share = (1 - decay) / (1 - decay^seen)            1 / seen where decay is 1: all steps count alike
    average <- average + share (w - average)

That is the exponential moving average with its bias corrected: after the first step it is w, and zeros never count.
Until `start` the average is w. Goes after the op that moves the parameter; where `factor` isn't finite, that hasn't
moved, and nothing changes.
"""

from math import isfinite, prod

from microgpt_core.components import Buffer, Cost, Op, Shape, Shapes, flat, stretches, write
from microgpt_optimizers.updates.contract import ONE, check_shapes


class AverageUpdate(Op):
    mutates = ("average", "seen")
    examples = [
        {"w": (3, 5), "grad": (3, 5), **ONE, "average": (3, 5), "seen": [4.0], "decay": 0.9},
        {"w": (3, 5), "grad": (3, 5), **ONE, "average": (3, 5), "seen": [0.0]},
        {"w": (1,), "grad": (1,), **ONE, "average": (1,), "seen": [2.0], "decay": 1.0},
        {"w": (7,), "grad": (7,), **ONE, "average": (7,), "seen": [0.0], "start": 4},
        {"w": (33, 67), "grad": (33, 67), **ONE, "average": (33, 67), "seen": [100.0]},
    ]

    def shapes(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, average: Shape, seen: Shape,
        *, decay: float = 0.999, start: int = 0,
    ) -> Shapes:  # fmt: skip
        self.expect("seen", seen, (1,))
        return check_shapes(self, w, grad, factor, lr, step, average=average)

    def forward(
        self, w: Buffer, grad: Buffer, factor: Buffer, lr: Buffer, step: Buffer, average: Buffer, seen: Buffer,
        *, decay: float, start: int,
    ) -> None:  # fmt: skip
        # w, grad and average alike; the others (1,)
        if not isfinite(factor[0]):
            return
        if step[0] >= start:
            seen[0] += 1.0
        share = share_of(seen[0], decay)
        for part in stretches(prod(w.shape)):
            pairs = zip(flat(average)[part], flat(w)[part])
            write(flat(average)[part], [share * p + (1.0 - share) * old for old, p in pairs])

    def cost(
        self, w: Shape, grad: Shape, factor: Shape, lr: Shape, step: Shape, average: Shape, seen: Shape,
        *, decay: float, start: int,
    ) -> Cost:  # fmt: skip
        """3 per parameter."""
        return {"forward": 3 * prod(w)}


def share_of(seen: float, decay: float) -> float:
    """How much of the new average is the newest weights."""
    if seen <= 1.0:
        return 1.0
    return 1.0 / seen if decay == 1.0 else (1.0 - decay) / (1.0 - decay**seen)
