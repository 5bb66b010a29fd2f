"""Does an op keep its contract? `mg.check(Mish())` measures its derivative and tries what every op promises.

The derivative is measured by finite differences in float64, one number at a time, and compared with what
backward says. A failure is described: a factor, a sign, one element. It is no proof, and knows no other backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from microgpt_core.components import Op, Shape
from microgpt_core.testing.cases import Given, make_case
from microgpt_core.testing.rules import RULES, derivative

SHAPES: tuple[Shape, ...] = ((1,), (7,), (3, 5), (2, 1, 11))  # odd sizes, and axes of one


@dataclass(frozen=True)
class Report:
    """What `check` found: `ok`, or a list of problems. It prints itself."""

    op: str
    problems: list[str]

    @property
    def ok(self) -> bool:
        return not self.problems

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        if self.ok:
            return f"{self.op}: ok"
        return "\n".join([f"{self.op}: {len(self.problems)} problem(s)", *(f"  {p}" for p in self.problems)])


def check(
    op: Op,
    shapes: Mapping[str, Given] | None = None,
    attributes: Mapping[str, Any] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    seed: int = 0,
) -> Report:
    """Whether an op's backward is the derivative of its forward, in float64, and the op keeps the other rules.

    An op of one input is tried on a few shapes; for others `shapes` says what to give each input: a shape for
    random numbers, a list for these numbers, `(shape, range(n))` for integers below n.
    """
    if shapes is None and len(op.signature.inputs) == 1:
        grid: list[Mapping[str, Given]] = [{op.signature.inputs[0]: shape} for shape in SHAPES]
    else:
        grid = [shapes or {}]
    for given in grid:
        case = make_case(op, given, attributes, seed=seed)
        problems = list(derivative(case, eps, atol, rtol))
        problems += [problem for rule in RULES for problem in rule(case)]
        if problems:
            return Report(op.name, problems)
    return Report(op.name, [])
