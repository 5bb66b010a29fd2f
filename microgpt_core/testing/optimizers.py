"""What every optimizer promises: its op does what float64 does, its state is all there is, NaN moves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, nan
from random import Random
from typing import Any

from microgpt_core.components import Buffer, Op, Optimizer, new_buffer
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import SignatureError
from microgpt_core.testing.case import bits, drawn, mapped, numbers
from microgpt_core.testing.cases import UPDATE
from microgpt_core.testing.report import Check, checks

STEPS = 20
SHAPE = (3, 5)
TOLERANCE = 1e-5  # of the largest parameter, after so many steps in float32

Model = Callable[[Sequence[float], Sequence[Sequence[float]], float], Sequence[float]]


@dataclass(frozen=True)
class Trial:
    """An optimizer, the op that it names, and perhaps what its author says that twenty steps come to.

    `model(w, grads, lr)` returns the parameters after a step for each row of `grads`, in float64.
    """

    optimizer: Optimizer
    op: Op
    model: Model | None = None

    def start(self, format: str) -> dict[str, Buffer]:
        """A parameter and its state."""
        w = drawn(SHAPE, format, Random("w"))
        return {"w": w} | {name: new_buffer(SHAPE, format) for name in self.optimizer.state}

    def gradient(self, step: int, format: str) -> Buffer:
        return drawn(SHAPE, format, Random(step))

    def step(self, held: dict[str, Buffer], step: int, factor: float = 1.0) -> None:
        """Move a parameter and its state by one step."""
        format = held["w"].format
        dtype = {"f": "float32", "d": "float64"}[format]
        scalars = {"factor": factor, "lr": self.optimizer.lr, "step": float(step)}
        given = held | {"grad": self.gradient(step, format)}
        tensors = {n: Tensor(Value(b.shape, b.format, b)) for n, b in given.items()}
        tensors |= {n: tensor([x], dtype) for n, x in scalars.items()}
        self.op(*(tensors[n] for n in (*UPDATE, *self.optimizer.state)), **self.optimizer.attributes(True))

    def run(self, held: dict[str, Buffer], steps: range) -> dict[str, Buffer]:
        for step in steps:
            self.step(held, step)
        return held


def optimizer_checks(optimizer: Optimizer, op: Op, model: Model | None = None, component: str = "") -> list[Check]:
    """The checks of an optimizer, with the op that its `update` names."""

    def make() -> Trial:
        if op.signature.inputs[: len(UPDATE)] != UPDATE:
            raise SignatureError(f"{op!r}: an update's inputs are ({', '.join(UPDATE)}), then those of its state")
        return Trial(optimizer, op, model)

    return checks(component or f"optimizer {optimizer.name}", RULES, make)


def twenty_steps_are_right(trial: Trial) -> Iterator[str]:
    """Twenty steps in float32 come to what float64 comes to, and that to what the author's model says."""
    single, double = (numbers(trial.run(trial.start(format), range(STEPS))["w"]) for format in "fd")
    start = numbers(trial.start("d")["w"])
    if double == start:
        yield f"{STEPS} steps of {trial.op.name} move nothing"
    others: list[tuple[str, Sequence[float]]] = [("in float32", single)]
    if trial.model:
        grads = [numbers(trial.gradient(step, "d")) for step in range(STEPS)]
        others.append(("by the model", trial.model(start, grads, trial.optimizer.lr)))
    for what, found in others:
        error, largest = max(abs(a - b) for a, b in zip(found, double, strict=True)), max(map(abs, double))
        if not error <= TOLERANCE * largest:
            yield f"after {STEPS} steps {what} a parameter is {error:.2e} away from float64's, of {largest:.3g} at most"


def state_is_all_there_is(trial: Trial) -> Iterator[str]:
    """Twenty steps equal ten, a save, and ten from what was saved, to the bit."""
    half = trial.run(trial.start("f"), range(STEPS // 2))
    saved = {name: mapped(float, b) for name, b in half.items()}
    through, restored = (trial.run(held, range(STEPS // 2, STEPS)) for held in (half, saved))
    for name, b in through.items():
        if bits(b) != bits(restored[name]):
            yield f"{name} goes on differently from a checkpoint: {trial.op.name} keeps something outside of its state"


def nothing_moves_by_nan(trial: Trial) -> Iterator[str]:
    """Where the factor of clipping isn't finite, neither the parameter nor its state changes."""
    for factor in (nan, inf, -inf):
        held = trial.run(trial.start("f"), range(2))
        before = {name: bits(b) for name, b in held.items()}
        trial.step(held, 2, factor)
        if moved := [name for name, b in held.items() if bits(b) != before[name]]:
            yield f"{trial.op.name} changes {' and '.join(moved)} where factor is {factor:g}; it must do nothing"
            return


RULES: tuple[Any, ...] = (twenty_steps_are_right, state_is_all_there_is, nothing_moves_by_nan)
