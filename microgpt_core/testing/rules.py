"""What every op promises, a function a rule: each takes a case and yields what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from math import inf, nan
from pathlib import Path
from statistics import median

from microgpt_core.components import Op, Unary
from microgpt_core.testing.cases import Case, bits, copies, numbered, numbers


def derivative(case: Case, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3) -> Iterator[str]:
    """Backward says what finite differences measure."""
    if not case.differentiable:
        return
    run = case.backward(case.differentiable)
    for name in case.differentiable:
        x, mine, measured = numbers(case.inputs[name]), numbers(run.after[f"d_{name}"]), measure(case, name, eps)
        wrong = [i for i, (m, t) in enumerate(zip(mine, measured)) if not abs(m - t) <= atol + rtol * abs(t)]
        if wrong:
            at = max(wrong, key=lambda i: abs(mine[i] - measured[i]) if mine[i] == mine[i] else inf)
            place = "" if isinstance(case.op, Unary) else f"[{at}]"
            sample = f"{name}{place} = {x[at]:.4g}: yours {mine[at]:.5g}, measured {measured[at]:.5g}"
            method = "df" if isinstance(case.op, Unary) else "backward"
            yield f"d_{name} {diagnose(mine, measured, wrong)} ({sample}) {where(case.op, method)}"


def measure(case: Case, name: str, eps: float) -> list[float]:
    """The loss's slope along each number of an input, by central differences."""
    slopes = []
    for i, x in enumerate(numbers(case.inputs[name])):
        sides = (numbered(case.inputs[name], i, x + side) for side in (eps, -eps))
        up, down = (replace(case, inputs={**case.inputs, name: side}).loss() for side in sides)
        slopes.append((up - down) / (2.0 * eps))
    return slopes


def diagnose(mine: Sequence[float], measured: Sequence[float], wrong: Sequence[int]) -> str:
    """What kind of mistake it looks like: a factor, a sign, nothing at all, or single elements."""
    if not any(mine):
        return "is missing: always 0"
    ratios = [m / t for m, t in zip(mine, measured) if abs(t) > 1e-3]
    factor = median(ratios) if ratios else 1.0
    if ratios and all(abs(r - factor) <= 0.01 * abs(factor) for r in ratios) and len(wrong) >= len(ratios):
        if abs(factor + 1.0) < 0.01:
            return "has the wrong sign everywhere"
        return (
            f"is {factor:.2f} times too large everywhere" if factor > 1 else f"is {factor:.2f} times what it should be"
        )
    return f"is wrong at {len(wrong)} of {len(mine)} elements"


def where(op: Op, method: str) -> str:
    """`mish.py:9`, where the method is written."""
    code = getattr(type(op), method).__code__
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def overwrites(case: Case) -> Iterator[str]:
    """Forward writes every number of what it makes, whatever was there before."""
    clean, dirty = case.forward(held=0.0), case.forward(held=nan)
    for name in case.op.signature.produced:
        if bits(clean.after[name]) != bits(dirty.after[name]):
            yield f"{name} isn't wholly overwritten: what it held before shows through {where(case.op, 'forward')}"


def accumulates(case: Case) -> Iterator[str]:
    """Backward adds to what a gradient holds."""
    if not case.differentiable:
        return
    empty, held = case.backward(case.differentiable, held=0.0), case.backward(case.differentiable, held=1.0)
    for name in case.differentiable:
        pairs = zip(numbers(empty.after[f"d_{name}"]), numbers(held.after[f"d_{name}"]))
        if not all(abs(b - a - 1.0) <= 1e-6 * max(1.0, abs(a)) for a, b in pairs):
            yield f"d_{name} is overwritten, where it should be added to {where(case.op, 'backward')}"


def touches_nothing_else(case: Case) -> Iterator[str]:
    """Forward changes what it makes and what it says it mutates; backward changes gradients of inputs."""
    for name in sorted(case.forward(held=nan).changed - {*case.op.signature.produced, *case.op.mutates}):
        yield f"forward changes {name}, which it may only read {where(case.op, 'forward')}"
    if case.differentiable:
        run = case.backward(case.differentiable)
        for name in sorted(run.changed - {f"d_{n}" for n in case.differentiable}):
            yield f"backward changes {name}, which it may only read {where(case.op, 'backward')}"


def repeats(case: Case) -> Iterator[str]:
    """The same numbers in, the same bits out: no hidden state, no random numbers."""
    runs = [case.forward().after, case.forward().after]
    methods = ["forward"]
    if case.differentiable:
        runs += [case.backward(case.differentiable).after, case.backward(case.differentiable).after]
        methods.append("backward")
    for method, first, second in zip(methods, runs[::2], runs[1::2]):
        if any(bits(first[n]) != bits(second[n]) for n in first):
            yield f"{method} gives other bits the second time {where(case.op, method)}"


def gradients_apart(case: Case) -> Iterator[str]:
    """Each gradient is the same whether or not the others are wanted."""
    if not case.differentiable:
        return
    every = case.backward(case.differentiable).after
    for n in range(len(case.differentiable)):
        for wanted in combinations(case.differentiable, n):
            some = case.backward(wanted).after
            for name in wanted:
                if bits(some[f"d_{name}"]) != bits(every[f"d_{name}"]):
                    yield f"d_{name} differs when only {', '.join(wanted)} are wanted {where(case.op, 'backward')}"


def same_twice(case: Case) -> Iterator[str]:
    """One tensor given as two inputs gets the sum of both gradients."""
    for a, b in combinations(case.differentiable, 2):
        x, y = case.inputs[a], case.inputs[b]
        if x is None or y is None or x.shape != y.shape:
            continue
        twin = replace(case, inputs={**case.inputs, b: x})
        apart = replace(case, inputs={**case.inputs, b: copies({"x": x})["x"]}).backward([a, b]).after
        both = zip(numbers(apart[f"d_{a}"]), numbers(apart[f"d_{b}"]), numbers(twin.backward([a, b]).after[f"d_{a}"]))
        if not all(abs(p + q - r) <= 1e-6 * max(1.0, abs(r)) for p, q, r in both):
            yield f"one tensor as both {a} and {b} doesn't get the sum of both gradients {where(case.op, 'backward')}"


RULES: tuple[Callable[[Case], Iterator[str]], ...] = (
    overwrites, accumulates, touches_nothing_else, repeats, gradients_apart, same_twice,
)  # fmt: skip
