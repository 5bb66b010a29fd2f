"""A call depends on the numbers in its buffers alone: not on earlier calls, nor on whether a plan makes it.

And it leaves nothing behind. Each rule takes a case and yields what is wrong.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import pairwise
from typing import Any

from microgpt_core import ops
from microgpt_core.components import Kernel
from microgpt_core.engine.capture import Captured
from microgpt_core.engine.context import use_kernels
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.testing.case import Buffers, Case, bits, copies, numbers
from microgpt_core.testing.contract import Rule, where
from microgpt_core.testing.red_zones import READS

CALLS, ROUNDS = 20, 4
BYTES = 16  # that each of them keeps: less is no object
LIBRARY = 1 << 18  # bytes that a call may take all the same: a library's own buffers, such as those of NumPy's loops


def repeats(case: Case) -> Iterator[str]:
    """The same call gives the same bits."""
    for method in case.methods:
        first, second = case.bind(method).once().after, case.bind(method).once().after
        for name in differing(first, second):
            yield f"two runs of {method} on equal inputs differ in {name} {where(case, method)}"


def keeps_no_state(case: Case) -> Iterator[str]:
    """A bound call reads its buffers again each time, and a call in between on other buffers changes nothing."""
    other = case.with_floats(lambda x: 0.5 * x)
    for method in case.methods:
        expected, bound = other.bind(method).once(), case.bind(method)
        bound.run()
        for name, buffer in bound.buffers.items():
            if buffer is not None:
                buffer.cast("B")[:] = expected.before[name].cast("B")  # type: ignore[union-attr]
        bound.run()
        for name in differing(bound.buffers, expected.after):
            yield f"{method}, run again on other numbers in its buffers, makes the wrong {name} {where(case, method)}"
    if case.differentiable:
        alone, bound = case.bind("backward").once(), case.bind("backward")
        other.forward()
        bound.run()
        for name in differing(bound.buffers, alone.after):
            yield (
                f"{name} changes when forward runs on other buffers before backward: something is kept between calls "
                f"{where(case, 'backward')}"
            )


def replays(case: Case) -> Iterator[str]:
    """A plan of this one op gives what eager code gives."""
    eager, planned = results(case, planned=False), results(case, planned=True)
    for name, expected in eager.items():
        if not all(x == y or x != x and y != y for x, y in zip(expected, planned[name], strict=True)):
            method = "backward" if name.startswith("d_") else "forward"
            yield f"{name} differs between eager code and a plan {where(case, method)}"


def results(case: Case, planned: bool) -> dict[str, list[float]]:
    """What the op makes of tensors, what it leaves in them, and their gradients, eagerly or by a plan."""
    made: dict[int, Tensor] = {}
    tensors: dict[str, Tensor | None] = {}
    for name, b in copies(case.inputs).items():
        value = None if b is None else Value(b.shape, b.format, b, name, persistent=True)
        tensors[name] = made.setdefault(id(b), Tensor(value, name in case.differentiable)) if value else None
    weights = [Tensor(Value(b.shape, b.format, b)) for b in case.weights(case.forward().after).values()]

    def step() -> list[Tensor]:
        result = case.op(**{n: computed(case, n, x) for n, x in tensors.items()}, **case.attributes)
        outputs = [] if result is None else list(result) if isinstance(result, tuple) else [result]
        if case.differentiable:
            reduce(ops.add, [ops.sum(ops.mul(out, weight)) for out, weight in zip(outputs, weights)]).backward()
        return outputs

    with use_kernels(case.kernels):
        outputs = on_used_memory(Captured(step, case.kernels)) if planned else step()
    found = {n: numbers(x.data) for n, x in zip(case.op.signature.outputs, outputs)}
    for name, x in tensors.items():
        if x is not None:
            found |= {name: numbers(x.data)} | ({} if x.grad is None else {f"d_{name}": numbers(x.grad.data)})
    return found


def computed(case: Case, name: str, x: Tensor | None) -> Tensor | None:
    """The same numbers as the result of a call, so that they, and their gradient, lie in a plan's own memory."""
    if x is None or name in (*case.op.integers, *case.op.mutates):
        return x
    same: Tensor = ops.scale(x, factor=1.0)
    return same


def on_used_memory(captured: Captured) -> Any:
    """A replay in memory that isn't zero, as it is from the second one on."""
    captured.replay_for()
    nbytes = captured.region.nbytes
    captured.region.view(0, (nbytes,), "B", nbytes)[:] = bytes([READS]) * nbytes
    return captured()


def allocates_nothing(case: Case) -> Iterator[str]:
    """A bound kernel takes no memory while it runs but the workspace that it asked for, and keeps none."""
    for method in case.methods:
        bound = case.bind(method)
        if not isinstance(bound.runner, Kernel):
            continue
        taken, kept = memory(bound.run)
        if taken > LIBRARY:
            yield f"{method} takes {taken:,} bytes while it runs; ask for them as workspace {where(case, method)}"
        if kept >= CALLS * BYTES:
            yield f"every call of {method} keeps {kept // CALLS:,} bytes {where(case, method)}"


def memory(run: Callable[[], object]) -> tuple[int, int]:
    """The most bytes that a call takes once it has run a few times, and the least that a round of many calls keeps.

    Python itself keeps objects for later now and then, but not in every round.
    """
    for _ in range(3):
        run()
    tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    try:
        held = [tracemalloc.get_traced_memory()[0]]
        tracemalloc.reset_peak()
        run()
        peak = tracemalloc.get_traced_memory()[1] - held[0]
        for _ in range(ROUNDS if peak <= LIBRARY else 0):
            for _ in range(CALLS):
                run()
            held.append(tracemalloc.get_traced_memory()[0])
            if held[-1] - held[-2] < CALLS * BYTES:
                break  # the least of all is no more
        return peak, min((after - before for before, after in pairwise(held)), default=0)
    finally:
        if not tracing:
            tracemalloc.stop()


def differing(a: Buffers, b: Buffers) -> list[str]:
    return [name for name in a if bits(a[name]) != bits(b[name])]


RULES: tuple[Rule, ...] = (repeats, keeps_no_state, replays)
