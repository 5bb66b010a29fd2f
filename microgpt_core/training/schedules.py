"""The core's schedules: how the learning rate moves after warm-up."""

from dataclasses import dataclass
from math import cos, pi

from microgpt_core.components import Schedule
from microgpt_core.errors import require


@dataclass
class WarmUp(Schedule):
    """What the core's schedules have in common: a number of steps over which the rate rises first."""

    def __post_init__(self) -> None:
        require(self.warmup_steps >= 0, "warmup_steps", self.warmup_steps, "0 or more")


@dataclass
class Constant(WarmUp):
    """The full learning rate at every step.

    Fields:
        warmup_steps: steps over which the rate rises from near 0
    """

    name = "constant"

    def after_warmup(self, progress: float) -> float:
        return 1.0


@dataclass
class Linear(WarmUp):
    """Down to 0 in a straight line.

    Fields:
        warmup_steps: steps over which the rate rises from near 0
    """

    name = "linear"

    def after_warmup(self, progress: float) -> float:
        return 1.0 - progress


@dataclass
class Cosine(WarmUp):
    """Down along half a cosine. Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5.

    Fields:
        warmup_steps: steps over which the rate rises from near 0
        final: the factor that it ends near; nanoGPT's recipes have 0.1
    """

    name = "cosine"

    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.0 <= self.final <= 1.0, "final", self.final, "0 to 1")

    def after_warmup(self, progress: float) -> float:
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + cos(pi * progress))
