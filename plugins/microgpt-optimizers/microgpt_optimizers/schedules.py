"""Schedules that are known before training: how the learning rate moves after warm-up."""

from dataclasses import dataclass
from math import cos, pi, sqrt
from typing import Literal

from microgpt_core.errors import require
from microgpt_core.training.schedules import WarmUp
from microgpt_optimizers.limits import check_above, check_count, check_fraction


@dataclass
class Steps(WarmUp):
    """A schedule that counts steps after warm-up, rather than shares of the training."""

    def factor(self, step: int, max_steps: int) -> float:
        return super().factor(step, max_steps) if step < self.warmup_steps else self.after(step - self.warmup_steps)

    def after(self, steps: int) -> float:
        """The factor so many steps after warm-up."""
        raise NotImplementedError


@dataclass
class Restarts(Steps):
    """Down along half a cosine, and back to the top, again and again. Loshchilov and Hutter 2017, arXiv:1608.03983.

    Fields:
        warmup_steps: steps over which the rate rises from near 0
        period: steps of the first way down
        growth: how many times as long each way down is as the one before
        floor: the factor at the bottom
    """

    name = "restarts"

    period: int = 250
    growth: float = 2.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("period", self.period)
        require(1.0 <= self.growth < float("inf"), "growth", self.growth, "1 or more")
        check_fraction("floor", self.floor)

    def after(self, steps: int) -> float:
        at, length = float(steps), float(self.period)
        while at >= length:
            at, length = at - length, length * self.growth
        return self.floor + (1.0 - self.floor) * 0.5 * (1.0 + cos(pi * at / length))


@dataclass
class StepDown(Steps):
    """Down by a step every so many steps.

    Fields:
        warmup_steps: steps over which the rate rises from near 0
        every: steps between two steps down
        gamma: what the factor is multiplied by
    """

    name = "step"

    every: int = 250
    gamma: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("every", self.every)
        require(0.0 < self.gamma <= 1.0, "gamma", self.gamma, "more than 0, 1 at most")

    def after(self, steps: int) -> float:
        return float(self.gamma ** (steps // self.every))


@dataclass
class Exponential(WarmUp):
    """Down by the same ratio at each step, to `final` at the end.

    Fields:
        warmup_steps: steps over which the rate rises from near 0
        final: the factor at the end
    """

    name = "exponential"

    final: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.0 < self.final <= 1.0, "final", self.final, "more than 0, 1 at most")

    def after_warmup(self, progress: float) -> float:
        return float(self.final**progress)


@dataclass
class InverseSqrt(Steps):
    """Down as one over the square root of the step, which needs no end. Vaswani et al. 2017, arXiv:1706.03762, 5.3.

    Fields:
        warmup_steps: steps over which the rate rises from near 0; after four times as many it is half the most
    """

    name = "inverse-sqrt"

    warmup_steps: int = 100

    def after(self, steps: int) -> float:
        begun = max(1, self.warmup_steps)
        return sqrt(begun / (begun + steps))


@dataclass
class WSD(WarmUp):
    """Warm-up, stable, decay: the full rate for long, then down to the end. Hu et al. 2024, arXiv:2404.06395.

    Fields:
        warmup_steps: steps over which the rate rises from near 0
        decay: the share of the steps after warm-up in which it goes down
        curve: how: sqrt, by the square root of the way, as Hägele et al. 2024 found best (arXiv:2405.18392); linear;
            cosine
        final: the factor at the end
    """

    name = "wsd"

    decay: float = 0.2
    curve: Literal["sqrt", "linear", "cosine"] = "sqrt"
    final: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_above("decay", self.decay)
        check_fraction("decay", self.decay)
        check_fraction("final", self.final)
        require(self.curve in ("sqrt", "linear", "cosine"), "curve", self.curve, "sqrt, linear or cosine")

    def after_warmup(self, progress: float) -> float:
        way = max(0.0, (progress - (1.0 - self.decay)) / self.decay)
        gone = {"sqrt": sqrt(way), "linear": way, "cosine": 0.5 * (1.0 - cos(pi * way))}[self.curve]
        return 1.0 - (1.0 - self.final) * gone


@dataclass
class OneCycle(WarmUp):
    """Up along half a cosine, and down along another. Smith and Topin 2017, arXiv:1708.07120; as PyTorch has it.

    Fields:
        warmup_steps: steps before the cycle, over which the rate rises from near 0 to where it begins
        rise: the share of the cycle's steps in which it goes up
        begin: the factor at its first step
        final: the factor at its last step
    """

    name = "one-cycle"

    rise: float = 0.3
    begin: float = 0.04
    final: float = 4e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("rise", self.rise)
        check_fraction("begin", self.begin)
        check_fraction("final", self.final)

    def factor(self, step: int, max_steps: int) -> float:
        if step < self.warmup_steps:
            return self.begin * super().factor(step, max_steps)
        step, last = step - self.warmup_steps, max_steps - self.warmup_steps - 1
        top = max(0.0, self.rise * (last + 1) - 1.0)  # the step of the full rate, which may lie between two
        if step < top:
            return self.begin + (1.0 - self.begin) * along_a_cosine(step / top)
        return 1.0 - (1.0 - self.final) * along_a_cosine((step - top) / max(last - top, 1.0))


def along_a_cosine(way: float) -> float:
    """From 0 to 1, slowly at both ends."""
    return 0.5 * (1.0 - cos(pi * way))
