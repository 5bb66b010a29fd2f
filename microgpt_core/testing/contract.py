"""What every op promises beside its mathematics, a function each: it takes a case and yields what is wrong.

That the mathematics is right is measured in `gradients.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, combinations
from math import isclose, nan
from pathlib import Path

from microgpt_core.components import Op, Unary
from microgpt_core.testing.case import Case, Run, bits, numbers

Rule = Callable[[Case], Iterator[str]]


def where(op: Op, method: str) -> str:
    """The file and line where an author finds a method: `mish.py:9`."""
    names = {"forward": "f", "backward": "df"} if isinstance(op, Unary) else {}
    code = getattr(type(op), names.get(method, method)).__code__
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def nearly(a: Iterable[float], b: Iterable[float]) -> bool:
    """Whether float64 numbers are the same but for the order of a few additions."""
    return all(isclose(x, y, rel_tol=1e-9, abs_tol=1e-9) or x != x and y != y for x, y in zip(a, b, strict=True))


def overwrites(case: Case) -> Iterator[str]:
    """Forward overwrites all that it makes, whatever was there before."""
    clean, dirty = case.forward(held=1.0).after, case.forward(held=nan).after
    for name in case.op.signature.produced:
        if bits(clean[name]) != bits(dirty[name]):
            yield f"forward doesn't overwrite all of {name}: what it held before shows {where(case.op, 'forward')}"


def accumulates(case: Case) -> Iterator[str]:
    """Backward adds to the gradients, whatever is there already."""
    names = case.differentiable
    if not names:
        return
    empty, held = case.backward(names).after, case.backward(names, held=1.0).after
    for name in names:
        if not nearly([d + 1.0 for d in numbers(empty[f"d_{name}"])], numbers(held[f"d_{name}"])):
            yield f"backward doesn't add to d_{name}: what it held before is lost {where(case.op, 'backward')}"


def touches_nothing_else(case: Case) -> Iterator[str]:
    """Forward changes what it makes and what it says it mutates; backward the gradients of inputs."""
    signature = case.op.signature
    for name in sorted(case.forward().changed() - {*signature.produced, *case.op.mutates}):
        yield f"forward changes {name}, which isn't in mutates {where(case.op, 'forward')}"
    if signature.backward:
        gradients = {f"d_{name}" for name in signature.inputs}
        for name in sorted(case.backward(case.differentiable).changed() - gradients):
            yield f"backward changes {name}, which isn't a gradient of an input {where(case.op, 'backward')}"


def repeats(case: Case) -> Iterator[str]:
    """The same call gives the same bits."""
    runs: dict[str, Callable[[], Run]] = {"forward": case.forward}
    if case.op.signature.backward:
        runs["backward"] = partial(case.backward, case.differentiable)
    for method, run in runs.items():
        first, second = run().after, run().after
        for name in first:
            if bits(first[name]) != bits(second[name]):
                yield f"two runs of {method} on equal inputs differ in {name} {where(case.op, method)}"


def spares_unwanted_gradients(case: Case) -> Iterator[str]:
    """A gradient that nobody wants is None, and the others don't depend on that."""
    names = case.differentiable
    if not names:
        return
    every = case.backward(names).after
    for wanted in chain.from_iterable(combinations(names, n) for n in range(len(names))):
        try:
            some = case.backward(wanted).after
        except (TypeError, AttributeError) as error:
            unwanted = ", ".join(f"d_{n}" for n in names if n not in wanted)
            yield f"backward fails where {unwanted} is None: {error} {where(case.op, 'backward')}"
            return
        for name in wanted:
            if not nearly(numbers(some[f"d_{name}"]), numbers(every[f"d_{name}"])):
                yield f"d_{name} depends on which other gradients are wanted {where(case.op, 'backward')}"


def takes_one_tensor_twice(case: Case) -> Iterator[str]:
    """Where two inputs are one tensor, both gradients add up in one buffer."""
    for a, b in combinations(case.differentiable, 2):
        x, y = case.inputs[a], case.inputs[b]
        if x is None or y is None or x.shape != y.shape:
            continue
        one, two = (replace(case, inputs={**case.inputs, b: same}) for same in (x, x.cast("B").cast(x.format, x.shape)))
        shared, apart = one.backward((a, b)).after, two.backward((a, b)).after
        total = [p + q for p, q in zip(numbers(apart[f"d_{a}"]), numbers(apart[f"d_{b}"]))]
        if not nearly(numbers(shared[f"d_{a}"]), total):
            yield f"the gradient is wrong where {a} and {b} are one tensor {where(case.op, 'backward')}"


RULES: tuple[Rule, ...] = (
    overwrites,
    accumulates,
    touches_nothing_else,
    repeats,
    spares_unwanted_gradients,
    takes_one_tensor_twice,
)
