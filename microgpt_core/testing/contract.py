"""What every op and every kernel promises to do to buffers, a function each: it takes a case and yields what is wrong.

That the numbers are right is measured in `gradients.py` and `agreement.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, combinations
from math import isclose, nan
from pathlib import Path

from microgpt_core.components import Kernel, Unary
from microgpt_core.testing.case import Buffers, Case, bits, filled, numbers
from microgpt_core.testing.red_zones import READS

Rule = Callable[[Case], Iterator[str]]


def where(case: Case, method: str) -> str:
    """The file and line where an author finds a method: `mish.py:9`."""
    runner = case.runner(method)
    names = {"forward": "f", "backward": "df"} if isinstance(runner, Unary) else {}
    function = inspect.unwrap(getattr(type(runner), names.get(method, method)))
    if code := getattr(function, "__code__", None):
        return f"{Path(code.co_filename).name}:{code.co_firstlineno}"
    return f"{type(runner).__module__}.{type(runner).__name__}.{method}"  # compiled


def nearly(case: Case, a: Iterable[float], b: Iterable[float]) -> bool:
    """Whether numbers are the same but for the order of a few additions."""
    tol = 1e-9 if case.format == "d" else 1e-4
    return all(isclose(x, y, rel_tol=tol, abs_tol=tol) or x != x and y != y for x, y in zip(a, b, strict=True))


def overwrites(case: Case) -> Iterator[str]:
    """Forward overwrites all that it makes, whatever was there before."""
    clean, dirty = case.forward(held=1.0).after, case.forward(held=nan).after
    for name in case.op.signature.produced:
        if bits(clean[name]) != bits(dirty[name]):
            yield f"forward doesn't overwrite all of {name}: what it held before shows {where(case, 'forward')}"


def accumulates(case: Case) -> Iterator[str]:
    """Backward adds to the gradients, whatever is there already."""
    names = case.differentiable
    if not names:
        return
    empty, held = case.backward(names).after, case.backward(names, held=1.0).after
    for name in names:
        if not nearly(case, [d + 1.0 for d in numbers(empty[f"d_{name}"])], numbers(held[f"d_{name}"])):
            yield f"backward doesn't add to d_{name}: what it held before is lost {where(case, 'backward')}"


def touches_nothing_else(case: Case) -> Iterator[str]:
    """Forward changes what it makes and what it says it mutates; backward the gradients of inputs."""
    signature = case.op.signature
    for name in sorted(case.forward().changed() - {*signature.produced, *case.op.mutates}):
        yield f"forward changes {name}, which isn't in mutates {where(case, 'forward')}"
    if case.differentiable:
        gradients = {f"d_{name}" for name in signature.inputs}
        for name in sorted(case.backward(case.differentiable).changed() - gradients):
            yield f"backward changes {name}, which isn't a gradient of an input {where(case, 'backward')}"


def stays_inside(case: Case) -> Iterator[str]:
    """Nothing beside a buffer is written, or read."""
    for method in case.methods:
        run, poisoned = case.bind(method).once(), replace(case, fill=READS).bind(method).once()
        for place in run.spilled:
            yield f"{method} writes outside of its buffers, {place} {where(case, method)}"
        for name in run.after:
            if bits(run.after[name]) != bits(poisoned.after[name]):
                yield f"{method} reads outside of its buffers: what lies there shows in {name} {where(case, method)}"


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
            unwanted = [f"d_{n}" for n in names if n not in wanted]
            are = "are" if len(unwanted) > 1 else "is"
            yield f"backward fails where {' and '.join(unwanted)} {are} None: {error} {where(case, 'backward')}"
            return
        for name in wanted:
            if not nearly(case, numbers(some[f"d_{name}"]), numbers(every[f"d_{name}"])):
                yield f"d_{name} depends on which other gradients are wanted {where(case, 'backward')}"


def takes_one_tensor_twice(case: Case) -> Iterator[str]:
    """Where two inputs are one tensor, both gradients add up in one buffer."""
    for a, b in combinations(case.differentiable, 2):
        x, y = case.inputs[a], case.inputs[b]
        if x is None or y is None or x.shape != y.shape:
            continue
        one, two = (replace(case, inputs={**case.inputs, b: same}) for same in (x, x.cast("B").cast(x.format, x.shape)))
        shared, apart = one.backward((a, b)).after, two.backward((a, b)).after
        total = [p + q for p, q in zip(numbers(apart[f"d_{a}"]), numbers(apart[f"d_{b}"]))]
        if not nearly(case, numbers(shared[f"d_{a}"]), total):
            yield f"the gradient is wrong where {a} and {b} are one tensor {where(case, 'backward')}"


def sets_when_told(case: Case) -> Iterator[str]:
    """A kernel that is told to set a gradient doesn't read what it held; the others it adds to all the same."""
    gradients = {f"d_{n}" for n in case.op.signature.gradients}
    for method in case.methods:
        runner = case.runner(method)
        if not isinstance(runner, Kernel):
            continue
        if unknown := set(runner.sets) - gradients - set(case.op.mutates):
            yield f"sets names {min(unknown)}, which {case.op.name} doesn't add to {where(case, method)}"
        settable = [n for n in case.written(method) if n in runner.sets]
        added = updated(case, method, settable, 0.0)
        for told in {(d,) for d in settable} | ({tuple(settable)} if settable else set()):
            after = updated(case, method, settable, nan, told)
            for d in settable if method == "forward" else case.written(method):
                if d in told and not nearly(case, numbers(added[d]), numbers(after[d])):
                    yield f"{method} was told to set {d}, and what it held before shows {where(case, method)}"
                if d not in told and not all(x != x for x in numbers(after[d])):
                    yield f"{method} sets {d}, but was told to set only {', '.join(told)} {where(case, method)}"


def updated(case: Case, method: str, names: Sequence[str], held: float, told: Sequence[str] = ()) -> Buffers:
    """What a method leaves where its gradients, and the inputs of these names, which it adds to, held `held`."""
    inputs = {n: b if b is None or n not in names else filled(b.shape, b.format, held) for n, b in case.inputs.items()}
    return replace(case, inputs=inputs).bind(method, held, told).once().after


RULES: tuple[Rule, ...] = (
    overwrites,
    accumulates,
    touches_nothing_else,
    stays_inside,
    spares_unwanted_gradients,
    takes_one_tensor_twice,
)
