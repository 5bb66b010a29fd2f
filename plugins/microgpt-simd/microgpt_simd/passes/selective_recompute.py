"""Large values that are cheap to make are made again for backward, instead of being kept for it.

    forward    u = gelu(f)    y = u W^T                       u is forgotten here,
    backward   u = gelu(f)    d_u, d_W from d_y, u, W         and made again right before it is read

What such an op reads, backward keeps anyway, for the op's own gradient. Of the 16 numbers that a block of GPT-2 leaves
behind for each of a position's channels, six are made this way: two norms, and four of the activation (selective
recomputation, Korthikanti et al. 2022, arXiv:2205.05198). It takes a sweep over memory, a small part of the product
that reads them. Small values are kept: they wait in a core's cache, and together are little memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from microgpt_core.components import Pass
from microgpt_core.engine.value import Call, Trace, Value
from microgpt_simd.passes.uses import Uses, find_uses, first_change, last

CHEAP = frozenset(("gelu", "gelu_tanh", "layernorm", "relu", "relu2", "rmsnorm", "sigmoid", "silu", "swiglu", "tanh"))
LARGE = 2 << 20  # bytes: more than a core's second cache holds


class SelectiveRecompute(Pass):
    """Norms and activations of 2 MiB and more are made again for backward."""

    name: ClassVar[str] = "selective-recompute"
    tolerance: ClassVar[float] = 0.0

    def rewrite(self, trace: Trace, kept: Sequence[Value]) -> Trace:
        uses, repeats = find_uses(trace.calls), defaultdict[int, list[Call]](list)
        for at, call in enumerate(trace.calls):
            if (reader := first_reader(at, call, trace.calls, uses, {*kept})) is not None:
                repeats[reader].append(call)
        calls: list[Call] = []
        copies: dict[Value, Value] = {}
        for at, call in enumerate(trace.calls):
            for source in repeats[at]:
                made = {value: Value(value.shape, value.format) for value in source.overwrites.values()}
                calls.append(replace(source, arguments=renamed(source, copies | made), again=True))
                copies |= made
            calls.append(replace(call, arguments=renamed(call, copies)))
        return replace(trace, calls=calls) if copies else trace


def first_reader(at: int, call: Call, calls: Sequence[Call], uses: Uses, kept: set[Value]) -> int | None:
    """The position of the first backward call that reads what this call makes, where it pays to make that again there.

    It pays if everything that it is made of is needed there or later anyway, and is by then what it was.
    """
    made, read = {*call.overwrites.values()}, {*call.reads.values()}
    readers = [i for value in made for i in uses[value] if calls[i].method == "backward"]
    if call.op.name not in CHEAP or call.method == "backward" or call.again or not readers:
        return None
    first = min(readers)
    pays = sum(value.nbytes for value in made) >= LARGE and all(v.external or last(uses[v]) >= first for v in read)
    same = all(first_change(v, [i for i in uses[v] if at < i], calls) > first for v in read | made)
    return first if pays and same and not any(v.external or v in kept for v in made) else None


def renamed(call: Call, copies: Mapping[Value, Value]) -> dict[str, Value | None]:
    return {name: value and copies.get(value, value) for name, value in call.arguments.items()}
