"""Backward against finite differences in float64: number by number, in large inputs along a random direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isfinite
from random import Random

from microgpt_core.components import Unary, dot, flat, write
from microgpt_core.testing.case import Case, copies, numbers
from microgpt_core.testing.contract import where
from microgpt_core.testing.diagnosis import diagnose, furthest, index_of

ONE_BY_ONE = 64  # numbers of an input that are measured each for itself


def derivative(
    case: Case, eps: float = 1e-6, atol: float = 1e-5, rtol: float = 1e-3, one_by_one: int = ONE_BY_ONE
) -> Iterator[str]:
    """Backward says what finite differences measure."""

    def close(mine: float, true: float) -> bool:
        return abs(mine - true) <= atol + rtol * abs(true)

    if not isfinite(case.loss()):
        return  # there is nothing to measure
    gradients = case.backward(case.differentiable).after if case.differentiable else {}
    for name in case.differentiable:
        mine = numbers(gradients[f"d_{name}"])
        places = range(0, len(mine), -(-len(mine) // one_by_one))
        whole = Random(name).choices((-1.0, 1.0), k=len(mine))
        said, true = dot(mine, whole), slope(case, name, whole, eps) if len(places) < len(mine) else 0.0
        if len(places) < len(mine) and close(said, true):
            continue
        some = [mine[i] for i in places]
        measured = [slope(case, name, [float(i == j) for j in range(len(mine))], eps) for i in places]
        if what := diagnose(some, measured, close):
            at = furthest(some, measured)
            example = f"{name_number(case, name, places[at])}: yours {some[at]:.5g}, measured {measured[at]:.5g}"
            yield f"d_{name} {what} ({example}) {where(case, 'backward')}"
        elif len(places) < len(mine):
            total = f"along a direction: yours {said:.5g}, measured {true:.5g}"
            yield f"d_{name} is wrong in a few of {len(mine)} numbers ({total}) {where(case, 'backward')}"


def slope(case: Case, name: str, direction: Sequence[float], eps: float) -> float:
    """How the loss changes as an input moves along a direction: a central difference."""
    inputs = copies(case.inputs)
    x, nudged = inputs[name], replace(case, inputs=inputs)
    assert x is not None
    start, losses = flat(x).tolist(), []
    for step in (eps, -eps):
        write(x, [v + step * d for v, d in zip(start, direction)])
        losses.append(nudged.loss())
    return (losses[0] - losses[1]) / (2.0 * eps)


def name_number(case: Case, name: str, at: int) -> str:
    """A number of an input: `x[0, 2] = 1.504`."""
    x = case.inputs[name]
    assert x is not None
    place = "" if isinstance(case.op, Unary) else str(index_of(at, x.shape))
    return f"{name}{place} = {numbers(x)[at]:.4g}"
