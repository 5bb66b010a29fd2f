"""The calls of a plan under the roof: what each computes and moves, the least time it can take, and why no less.

A bound from below: a call's bytes come from the smallest level that could hold them all, whoever used them last.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from microgpt_bench.roofline.roof import Roof
from microgpt_core.engine.plan import Plan, PlanCall

BLOCK = re.compile(r"\.\d+\b")


@dataclass(frozen=True)
class Point:
    """A call: its costs as the plan counts them, and how long it took where that was measured."""

    op: str
    method: str
    scope: str  # or the op's name, where it belongs to no part
    backend: str
    precision: str
    flops: int
    bytes: int  # moved, an update counting twice
    touched: int  # bytes of the buffers, each counted once: what a cache would have to hold
    fixed: int  # those of `bytes` that are parameters, gradients or state: a larger batch adds none
    ns: float | None = None
    update: bool = False  # part of the update, which no larger batch makes longer

    @property
    def name(self) -> str:
        """As people say it: linear.backward."""
        return f"{self.op}.{self.method}"

    @property
    def parts(self) -> str:
        """Its scope, the same for all blocks: block.*.attention.q."""
        return BLOCK.sub(".*", self.scope)

    def least(self, roof: Roof) -> tuple[float, str]:
        """The seconds it can't do without, and what bounds it."""
        return roof.bound(self.flops, self.bytes, self.touched, self.precision)


def points_of(plan: Plan, times_ns: Sequence[float] | None = None, update: bool = False) -> list[Point]:
    """The plan's calls in their order, with the nanoseconds of each where they are given."""
    times = [None] * len(plan.calls) if times_ns is None else times_ns
    return [point(plan, call, ns, update) for call, ns in zip(plan.calls, times, strict=True)]


def point(plan: Plan, call: PlanCall, ns: float | None, update: bool) -> Point:
    used = {i: plan.values[i] for i in call.arguments.values() if i is not None}
    whole = sum(v.nbytes for v in used.values())
    fixed = sum(v.nbytes * (2 if i in call.written else 1) for i, v in used.items() if v.role == "persistent")
    if whole > call.bytes:  # of a table, only the rows of this batch
        fixed = 0
    formats = {v.format for v in used.values()}
    paired = call.op.rounds or call.attributes.get("bfloat16")
    precision = "bfloat16" if paired else "float64" if "d" in formats else "float32"
    scope, touched = call.scope or call.op.name, min(whole, call.bytes)
    who = call.op.name, call.method, scope, call.backend, precision
    return Point(*who, call.flops, call.bytes, touched, fixed, ns, update)


def least_seconds(plans: Iterable[Plan], roof: Roof) -> float:
    """The least time that plans can take one after the other."""
    return sum(p.least(roof)[0] for plan in plans for p in points_of(plan))


@dataclass
class Group:
    """Calls that are looked at together: an op's, or a part's."""

    name: str
    calls: int = 0
    flops: int = 0
    bytes: int = 0
    least: float = 0.0  # seconds
    seconds: float | None = None
    backends: set[str] = field(default_factory=set)
    bounds: dict[str, float] = field(default_factory=dict)  # compute, L1, ... -> seconds of `least`

    @property
    def intensity(self) -> float:
        """FLOPs for each byte."""
        return self.flops / self.bytes

    @property
    def bound(self) -> str:
        """What bounds most of it."""
        return max(self.bounds, key=self.bounds.__getitem__)

    @property
    def share(self) -> float | None:
        """Of its roof: 1 where nothing is lost."""
        return None if self.seconds is None else self.least / self.seconds

    @property
    def weight(self) -> float:
        """Seconds: those measured, or else those it can't do without."""
        return self.least if self.seconds is None else self.seconds

    @property
    def rate(self) -> float:
        """FLOP/s: those reached, or else those that could be."""
        return self.flops / self.weight

    def add(self, point: Point, roof: Roof) -> None:
        least, bound = point.least(roof)
        self.calls, self.flops, self.bytes = self.calls + 1, self.flops + point.flops, self.bytes + point.bytes
        self.least += least
        self.bounds[bound] = self.bounds.get(bound, 0.0) + least
        self.backends.add(point.backend)
        if point.ns is not None:
            self.seconds = (self.seconds or 0.0) + point.ns / 1e9

    def to_dict(self) -> dict[str, Any]:
        known = {"achieved_s": self.seconds, "roof_share": self.share, "achieved_flops": self.rate}
        return {
            "name": self.name, "calls": self.calls, "backends": sorted(self.backends), "flops": self.flops,
            "bytes": self.bytes, "intensity": self.intensity, "bound": self.bound, "least_s": self.least,
            **(known if self.seconds else {}),
        }  # fmt: skip


def grouped(points: Iterable[Point], roof: Roof, by: Callable[[Point], str]) -> list[Group]:
    """The longest first."""
    groups: dict[str, Group] = {}
    for p in points:
        groups.setdefault(by(p), Group(by(p))).add(p, roof)
    return sorted(groups.values(), key=lambda group: -group.weight)


def by_op(points: Iterable[Point], roof: Roof) -> list[Group]:
    return grouped(points, roof, lambda p: p.name)


def by_part(points: Iterable[Point], roof: Roof) -> list[Group]:
    return grouped(points, roof, lambda p: p.parts)


def whole(points: Iterable[Point], roof: Roof) -> Group:
    """All of a step together."""
    (group,) = grouped(points, roof, lambda p: "step")
    return group
