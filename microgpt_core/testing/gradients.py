"""`mg.check(Mish())`: is an op's derivative right, and does the op keep its promises?

The derivative is measured by finite differences in float64 and compared with what backward says. What is wrong is
described: a factor, a sign, one element. It is no proof of what is right.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

from microgpt_core.components import Op, Shape
from microgpt_core.errors import SignatureError
from microgpt_core.testing.case import Given, make_case
from microgpt_core.testing.contract import Rule
from microgpt_core.testing.derivative import derivative
from microgpt_core.testing.rules import PROMISES, found

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
    measuring: Rule = partial(derivative, eps=eps, atol=atol, rtol=rtol, one_by_one=sys.maxsize)
    measured = sum(prod(b.shape) for case in cases for n in case.differentiable if (b := case.inputs[n]) is not None)
    return Report(op.name, measured, [problem for rule in (measuring, *PROMISES) for problem in found(rule, cases)])
