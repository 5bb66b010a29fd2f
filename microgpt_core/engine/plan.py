"""A plan: the calls of one computation written down as data, with every value's place in memory.

It is printable, serialisable and hashable; `replay` runs it, `planner` makes it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, prod
from typing import Any

from microgpt_core.components.buffer import DTYPES, ITEM_BYTES, Shape
from microgpt_core.components.op import Op


@dataclass
class PlanValue:
    """One value: the name of what made it, and where and how long it lives."""

    name: str
    shape: Shape
    format: str
    role: str  # "input", "persistent" (parameters, gradients, state) or "value"
    offset: int | None = None  # in the region, or in what is lent; None for persistent values
    first: int = 0  # the calls between which it is needed
    last: int = 0
    lent: bool = False  # its memory, by gradients that aren't computed yet

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * ITEM_BYTES[self.format]


@dataclass
class PlanCall:
    """One line of the plan; arguments are indices into the plan's values."""

    op: Op
    method: str
    arguments: dict[str, int | None]
    attributes: Mapping[str, Any]
    scope: str
    backend: str
    written: list[int]  # the values that it writes or adds to
    sets: tuple[str, ...]  # the gradients that it writes instead of adding to them
    refusals: list[str]  # who could not have it, and why
    flops: int
    bytes: int
    workspace: int = 0  # bytes needed beside the values while it runs
    forced: bool = False  # onto its backend, so that no other was asked
    again: bool = False  # a forward call that recompute repeats for backward


@dataclass
class Plan:
    """What will be run, on what, in which memory."""

    values: list[PlanValue]
    calls: list[PlanCall]
    inputs: list[int]
    outputs: list[int]
    watched: dict[str, int]  # scope -> value, kept for analyzers
    region_bytes: int

    @property
    def flops(self) -> int:
        return sum(c.flops for c in self.calls)

    @property
    def recomputed_flops(self) -> int:
        """Those of `flops` that recompute adds."""
        return sum(c.flops for c in self.calls if c.again)

    @property
    def bytes(self) -> int:
        return sum(c.bytes for c in self.calls)

    @property
    def workspace_bytes(self) -> int:
        """The most that any one call needs beside the values."""
        return max(c.workspace for c in self.calls)

    @cached_property
    def peak_live_bytes(self) -> int:
        """The most bytes that are needed at any one call, beside what is lent: what no layout can go below."""
        changes = [0] * (len(self.calls) + 2)
        for v in self.values:
            if v.offset is not None and not v.lent:
                changes[v.first] += v.nbytes
                changes[v.last + 1] -= v.nbytes
        live = peak = 0
        for change in changes:
            live += change
            peak = max(peak, live)
        return peak

    def fallbacks(self) -> dict[str, int]:
        """The ops that a backend asked earlier could not run, and how many calls of each."""
        counts: dict[str, int] = {}
        for call in self.calls:
            if call.refusals:
                counts[call.op.name] = counts.get(call.op.name, 0) + 1
        return counts

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON has it; `lent`, `again` and `recomputed_flops` only where something is."""
        values = [
            {"name": v.name, "shape": list(v.shape), "dtype": DTYPES[v.format], "role": v.role, "bytes": v.nbytes,
             "offset": v.offset, "first": v.first, "last": v.last, **({"lent": True} if v.lent else {})}
            for v in self.values
        ]  # fmt: skip
        calls = [
            {"op": c.op.name, "method": c.method, "scope": c.scope, "arguments": c.arguments, "backend": c.backend,
             "attributes": {n: as_json(v) for n, v in c.attributes.items()}, "sets": list(c.sets),
             "refusals": c.refusals, "flops": c.flops, "bytes": c.bytes, **({"again": True} if c.again else {})}
            for c in self.calls
        ]  # fmt: skip
        return {
            "values": values, "calls": calls, "inputs": self.inputs, "outputs": self.outputs, "watched": self.watched,
            "region_bytes": self.region_bytes, "peak_live_bytes": self.peak_live_bytes, "flops": self.flops,
            "bytes": self.bytes,
            **({"recomputed_flops": self.recomputed_flops} if any(c.again for c in self.calls) else {}),
        }  # fmt: skip

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the plan: two plans of one digest do the same in the same memory."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


def as_json(value: Any) -> Any:
    """JSON has no infinity: `max_norm=inf` becomes "inf"."""
    return str(value) if isinstance(value, float) and not isfinite(value) else value
