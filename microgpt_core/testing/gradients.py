"""`mg.check(Mish())`: is an op's derivative right, and does the op keep its promises?

The derivative is measured by finite differences in float64, one number at a time, and compared with what
backward says. What is wrong is described: a factor, a sign, one element. It is no proof of what is right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf, prod
from statistics import median
from typing import Any, TypeAlias

from microgpt_core.components import Op, Shape, Unary, flat
from microgpt_core.errors import SignatureError
from microgpt_core.testing.case import Case, Given, copies, make_case, numbers
from microgpt_core.testing.contract import RULES, Rule, where

Close: TypeAlias = Callable[[float, float], bool]
SHAPES: tuple[Shape, ...] = ((7,), (3, 5), (2, 1, 11), (1,))  # odd sizes and axes of one


@dataclass(frozen=True)
class Report:
    """What `check` found: true where all is well, and printable."""

    op: str
    measured: int  # derivatives
    problems: list[str]

    def __bool__(self) -> bool:
        return not self.problems

    def __repr__(self) -> str:
        if self:
            return f"{self.op}: ok, {self.measured} derivatives measured"
        count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        return "\n  ".join([f"{self.op}: {count}", *self.problems])


def check(
    op: Op,
    *,
    shapes: Mapping[str, Given] | None = None,
    attributes: Mapping[str, Any] | None = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    seed: int = 0,
) -> Report:
    """Try an op on random numbers, and report what is wrong, each kind of mistake once.

    `shapes` says what each input looks like: a shape, a list of numbers, or for integers (shape, range(n)). An op
    of one input needs none. A derivative is right within atol + rtol * |measured|.
    """
    if isinstance(op, type):
        raise SignatureError(f"check takes an op, found the class {op.__name__}; make one: check({op.__name__}())")
    required = [n for n in op.signature.inputs if n not in op.signature.optional]
    sizes: list[Mapping[str, Given]] = [{required[0]: s} for s in SHAPES] if len(required) == 1 else [{}]
    cases = [make_case(op, s, attributes, seed=seed) for s in ([shapes] if shapes is not None else sizes)]
    rules: tuple[Rule, ...] = (partial(derivative, eps=eps, atol=atol, rtol=rtol), *RULES)
    found = (next(filter(None, (list(rule(case)) for case in cases)), []) for rule in rules)
    measured = sum(prod(b.shape) for case in cases for n in case.differentiable if (b := case.inputs[n]) is not None)
    return Report(op.name, measured, [problem for problems in found for problem in problems])


def derivative(case: Case, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3) -> Iterator[str]:
    """Backward says what finite differences measure."""
    gradients = case.backward(case.differentiable).after if case.differentiable else {}
    for name in case.differentiable:
        mine, measured = numbers(gradients[f"d_{name}"]), measure(case, name, eps)
        if what := diagnose(mine, measured, lambda m, t: abs(m - t) <= atol + rtol * abs(t)):
            yield f"d_{name} {what} ({example(case, name, mine, measured)}) {where(case.op, 'backward')}"


def measure(case: Case, name: str, eps: float) -> list[float]:
    """How the loss changes with each number of an input: central differences."""
    inputs = copies(case.inputs)
    x, nudged = inputs[name], replace(case, inputs=inputs)
    assert x is not None
    view, slopes = flat(x), []
    for i, number in enumerate(view.tolist()):
        losses = []
        for view[i] in (number + eps, number - eps):
            losses.append(nudged.loss())
        view[i] = number
        slopes.append((losses[0] - losses[1]) / (2.0 * eps))
    return slopes


def diagnose(mine: Sequence[float], measured: Sequence[float], close: Close) -> str | None:
    """What is wrong with a gradient, in words; None where nothing is."""
    wrong = [i for i, (m, t) in enumerate(zip(mine, measured)) if not close(m, t)]
    if not wrong:
        return None
    if all(close(m, 0.0) for m in mine):
        return "is missing: all zeros"
    large = max(map(abs, measured))
    factor = median([m / t for m, t in zip(mine, measured) if abs(t) >= 0.01 * large and t]) if large else inf
    if all(close(m, factor * t) for m, t in zip(mine, measured)):
        return f"{in_words(factor)} everywhere"
    offset = median([m - t for m, t in zip(mine, measured)])
    if all(close(m, t + offset) for m, t in zip(mine, measured)):
        return f"is {offset:+.4g} off everywhere"
    return f"is wrong in {len(wrong)} of {len(mine)} numbers"


def in_words(factor: float) -> str:
    """How a gradient compares that is `factor` times the true one."""
    size = abs(factor)
    too = f"is {size:.2f} times too large" if size > 1.0 else f"is {1.0 / size:.2f} times too small"
    sign = ["has the wrong sign"] if factor < 0.0 else []
    return " and ".join(sign if 0.999 < size < 1.001 else [*sign, too])


def example(case: Case, name: str, mine: Sequence[float], measured: Sequence[float]) -> str:
    """The number that is furthest off: `x[0, 2] = 1.504: yours 2.1555, measured 1.9595`."""
    errors = [abs(m - t) if m == m else inf for m, t in zip(mine, measured)]
    at, x = errors.index(max(errors)), case.inputs[name]
    assert x is not None
    index: list[int] = []
    rest = at
    for size in reversed(x.shape):
        rest, i = divmod(rest, size)
        index.insert(0, i)
    place = "" if isinstance(case.op, Unary) else str(index)
    return f"{name}{place} = {numbers(x)[at]:.4g}: yours {mine[at]:.5g}, measured {measured[at]:.5g}"
