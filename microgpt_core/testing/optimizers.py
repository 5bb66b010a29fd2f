"""What every optimizer promises: its ops do what float64 does, its state is all there is, NaN moves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isfinite, nan
from random import Random
from typing import Any

from microgpt_core.components import Buffer, Op, Optimizer, Rule, Shape, new_buffer, show_shape, write
from microgpt_core.engine.tensor import Tensor, tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import SignatureError
from microgpt_core.models.gpt import GPT
from microgpt_core.testing.case import bits, drawn, mapped, numbers
from microgpt_core.testing.cases import UPDATE
from microgpt_core.testing.report import Check, checks
from microgpt_core.training.update import Update

STEPS = 20
SHAPE = (3, 5)
TOLERANCE = 1e-5  # of the largest parameter, after so many steps in float32

Model = Callable[[Sequence[float], Sequence[Sequence[float]], float], Sequence[float]]


@dataclass(frozen=True)
class Trial:
    """An optimizer, the ops that it names, and perhaps what its author says that twenty steps come to.

    `model(w, grads, lr)` returns the parameters after a step for each row of `grads`, in float64.
    """

    optimizer: Optimizer
    ops: Mapping[str, Op]
    model: Model | None = None

    @property
    def title(self) -> str:
        """What moves a parameter."""
        return " and ".join(op.name for op in self.ops.values())

    def rules(self, decay: bool) -> Sequence[Rule]:
        """What happens to a parameter of SHAPE."""
        return self.optimizer.rules(*self.parameter, decay)

    @cached_property
    def parameter(self) -> tuple[str, Shape]:
        return next((p.name, p.shape) for p in self.training().trained if p.shape == SHAPE)

    def training(self) -> Update:
        """The updates of a small GPT: of matrices, one of them of SHAPE, and of vectors, which don't decay."""
        rows, width = SHAPE
        model = GPT(rows, block_size=2, n_head=1, n_embd=width, bias=True, norm="layernorm", norm_weight=True)
        model.allocate()
        return Update(model, self.optimizer, update_ops=self.ops)

    def start(self, format: str) -> dict[str, Buffer]:
        """A parameter and its state, which is shaped as in a training."""
        update, name = self.training(), self.parameter[0]
        kept = [state for rule in self.rules(True) for state in rule.state]
        shapes = {state: update.state[f"{name}.{state}"].shape for state in kept}
        w = drawn(SHAPE, format, Random("w"))
        return {"w": w} | {state: new_buffer(shape, format) for state, shape in shapes.items()}

    def gradient(self, step: int, format: str) -> Buffer:
        return drawn(SHAPE, format, Random(step))

    def step(
        self, held: dict[str, Buffer], step: int, *, factor: float = 1.0, lr: float | None = None, size: float = 1.0,
        decay: bool = True,
    ) -> None:  # fmt: skip
        """Move a parameter and its state by one step. `size` is what the gradient is multiplied by."""
        format = held["w"].format
        dtype = {"f": "float32", "d": "float64"}[format]
        scalars, rate = {"factor": factor, "step": float(step)}, self.optimizer.lr if lr is None else lr
        given = held | {"grad": mapped(lambda g: size * g, self.gradient(step, format))}
        tensors = {n: Tensor(Value(b.shape, b.format, b)) for n, b in given.items()}
        tensors |= {n: tensor([x], dtype) for n, x in scalars.items()}
        for rule in self.rules(decay):
            tensors["lr"] = tensor([rate * rule.lr_factor], dtype)
            self.ops[rule.update](*(tensors[n] for n in (*UPDATE, *rule.state)), **rule.attributes)

    def run(self, held: dict[str, Buffer], steps: range) -> dict[str, Buffer]:
        for step in steps:
            self.step(held, step)
        return held


def optimizer_checks(
    optimizer: Optimizer, op: Op | Mapping[str, Op], model: Model | None = None, component: str = ""
) -> list[Check]:
    """The checks of an optimizer, with the op, or the ops, that it names."""
    named = {optimizer.updates[0]: op} if isinstance(op, Op) else dict(op)

    def make() -> Trial:
        for one in named.values():
            if one.signature.inputs[: len(UPDATE)] != UPDATE:
                raise SignatureError(f"{one!r}: an update's inputs are ({', '.join(UPDATE)}), then those of its state")
        return Trial(optimizer, deepcopy(named), model)

    label = component or f"optimizer {optimizer.name}"
    return [check for rule in RULES for check in checks(label, [rule], make)]  # each on an op that has done nothing yet


def twenty_steps_are_right(trial: Trial) -> Iterator[str]:
    """Twenty steps in float32 come to what float64 comes to, and that to what the author's model says."""
    single, double = (numbers(trial.run(trial.start(format), range(STEPS))["w"]) for format in "fd")
    start = numbers(trial.start("d")["w"])
    if double == start:
        yield f"{STEPS} steps of {trial.title} move nothing"
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
    later = replace(trial, ops=deepcopy(trial.ops))  # as another process has it
    half = trial.run(trial.start("f"), range(STEPS // 2))
    saved = {name: mapped(float, b) for name, b in half.items()}
    through, restored = (t.run(held, range(STEPS // 2, STEPS)) for t, held in ((trial, half), (later, saved)))
    for name, b in through.items():
        if bits(b) != bits(restored[name]):
            yield f"{name} goes on differently from a checkpoint: {trial.title} keeps something outside of its state"


def nothing_moves_by_nan(trial: Trial) -> Iterator[str]:
    """Where the factor of clipping isn't finite, neither the parameter nor its state changes."""
    for factor in (nan, inf, -inf):
        held = trial.run(trial.start("f"), range(2))
        before = {name: bits(b) for name, b in held.items()}
        trial.step(held, 2, factor=factor)
        if moved := [name for name, b in held.items() if bits(b) != before[name]]:
            yield f"{trial.title} changes {' and '.join(moved)} where factor is {factor:g}; it must do nothing"
            return


def follows_its_inputs(trial: Trial) -> Iterator[str]:
    """The schedule's learning rate, the factor of clipping and the gradient decide how far it goes."""
    held = trial.run(trial.start("d"), range(2))
    clipped, smaller, stopped = ({n: mapped(float, b) for n, b in held.items()} for _ in range(3))
    trial.step(stopped, 2, lr=0.0)
    if bits(stopped["w"]) != bits(held["w"]):
        yield f"{trial.title} moves w where lr is 0: every step must be multiplied by the schedule's lr"
    trial.step(clipped, 2, factor=0.5)
    trial.step(smaller, 2, size=0.5)
    for name, b in clipped.items():
        error = max(abs(x - y) for x, y in zip(numbers(b), numbers(smaller[name])))
        if not error <= TOLERANCE * max(map(abs, numbers(b))):
            yield f"{trial.title} makes another {name} by factor 0.5 than by half the gradient: multiply grad by it"
    fresh = trial.start("d")
    before = bits(fresh["w"])
    trial.step(fresh, 0, size=0.0, decay=False)
    if bits(fresh["w"]) != before:
        yield f"{trial.title} moves w without a gradient, though attributes(decay=False) says not to shrink it"


def moves_every_parameter(trial: Trial) -> Iterator[str]:
    """In a training's plan each parameter moves, matrix or vector, and stays finite."""
    update = trial.training()
    update.allocate()
    update.model.initialise(Random("weights"))
    before = {p.name: numbers(p.data) for p in update.trained}
    for step in range(3):
        for p in update.trained:
            assert p.grad is not None
            write(p.grad.data, numbers(drawn(p.shape, "f", Random(p.name + str(step)))))
        update(trial.optimizer.lr, step)
    for p in update.trained:
        kind, now = "matrix" if len(p.shape) > 1 else "vector", numbers(p.data)
        if not all(map(isfinite, now)):
            yield f"{trial.title} makes numbers of a {kind} of shape {show_shape(p.shape)} infinite or NaN"
        elif now == before[p.name]:
            yield f"{trial.title} doesn't move a {kind} of shape {show_shape(p.shape)}"


def keeps_its_average(trial: Trial) -> Iterator[str]:
    """Where an optimizer says that a state is an average of the weights, every parameter has it, and in its shape."""
    update, average = trial.training(), trial.optimizer.average
    for p in update.trained if average else ():
        state = update.state.get(f"{p.name}.{average}")
        if state is None or state.shape != p.shape:
            yield f"average is {average!r}, but {p.name} has no state of that name like w"
            return


RULES: tuple[Any, ...] = (
    keeps_its_average,
    moves_every_parameter,
    follows_its_inputs,
    twenty_steps_are_right,
    state_is_all_there_is,
    nothing_moves_by_nan,
)
