"""Replay: a plan bound to memory, its kernels prepared once, run as often as you like."""

from array import array
from collections.abc import Sequence
from itertools import groupby, pairwise
from time import perf_counter_ns

from microgpt_core.components.backend import LoopPart
from microgpt_core.components.buffer import Buffer, flat, new_buffer
from microgpt_core.components.op import show_shape
from microgpt_core.engine.context import capturing
from microgpt_core.engine.plan import PlanValue
from microgpt_core.engine.planner import Planned
from microgpt_core.engine.region import Region, part
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import CaptureError, ShapeError, StaleError


class Result(Value):
    """What a replay computed: readable until the next replay in the same region overwrites it."""

    __slots__ = ("region", "content")

    def __init__(self, value: Value, region: Region) -> None:
        super().__init__(value.shape, value.format, value.data, persistent=True)
        self.region, self.content = region, region.content

    def buffer(self) -> Buffer:
        if self.region.content is not self.content:
            raise StaleError(
                "this output was overwritten by a later replay; read it (item(), tolist()) before replaying again"
            )
        return super().buffer()


class Replay:
    """A plan in memory. Calling it copies the inputs in, runs every call, and returns the outputs.

    `fresh` are the gradients that the plan computes anew, whose memory it has until then.
    """

    def __init__(self, planned: Planned, region: Region | None = None, fresh: Sequence[Value] = ()) -> None:
        self.planned, (self.plan, values, lines) = planned, planned
        self.region = region or Region()
        self._lent = Buffer(fresh[0].buffer().obj) if fresh else Buffer(b"")
        scratch = max((line.choice.scratch(line.call) for line in lines), default=0)  # of one kernel at a time
        self.region.reserve(self.plan.region_bytes + scratch)
        self._version = self.region.version
        self._values = [self._place(value, planned) for value, planned in zip(values, self.plan.values)]
        memory: dict[Value | None, Buffer | None] = {None: None}
        memory |= {value: placed.buffer() for value, placed in zip(values, self._values)}
        self._outside = [(value, memory[value]) for value in values if value.external]
        self._changed = {v for line in lines for v in line.call.updates.values() if v.external}
        self._content: object = None  # the region's, while it is this replay's
        workspace = self.region.view(self.plan.region_bytes, (scratch,), "B", scratch) if scratch else None
        self._calls = [
            line.choice.bind(line.call, [memory[v] for v in line.call.arguments.values()], line.sets, workspace)
            for line in lines
        ]
        by_backend = groupby(zip(lines, self._calls), key=lambda pair: pair[0].choice.backend)
        self.program = [run for backend, some in by_backend for run in backend.join([run for _, run in some])]

    @property
    def left_behind(self) -> bool:
        """Whether the region has grown into other memory since."""
        return self._version != self.region.version

    def _place(self, value: Value, planned: PlanValue) -> Value:
        """The value with memory: its own, or its place in the region or in what is lent."""
        if planned.offset is None:
            return value
        place = planned.offset, value.shape, value.format, value.nbytes
        return Value(value.shape, value.format, part(self._lent, *place) if planned.lent else self.region.view(*place))

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Run the plan on inputs of the captured shapes. The outputs live until the region's next replay."""
        self._run(inputs)
        return [Tensor(self._result(i)) for i in self.plan.outputs]

    def timed(self, *inputs: Tensor) -> list[int]:
        """Run the plan as ever: the nanoseconds that each of `plan.calls` took, looking at the clock included."""
        marks: list[int] = []
        self._run(inputs, marks)
        return [end - start for start, end in pairwise(marks)]

    def part(self, turns: int) -> LoopPart:
        """Its part in a loop, with room for the inputs and the outputs of so many turns."""
        values = [self._values[i] for i in (*self.plan.inputs, *self.plan.outputs)]
        room = [(v.buffer(), new_buffer((turns, *v.shape), v.format)) for v in values]
        return LoopPart(self.program, room[: len(self.plan.inputs)], room[len(self.plan.inputs) :])

    def enter(self) -> None:
        """Nobody else runs in the region until its `busy` is released. Raises CaptureError where somebody does."""
        if capturing():
            raise CaptureError("a replay inside a capture would run now and be frozen; call the function itself there")
        if not self.region.busy.acquire(blocking=False):
            raise CaptureError("two replays in one region at once; give the second a region of its own")

    def claim(self) -> None:
        """From now on the region holds what this replay computes. Raises CaptureError where memory has moved."""
        self._content = self.region.content = object()
        self._check_outside()

    def _run(self, inputs: Sequence[Tensor], marks: list[int] | None = None) -> None:
        """Every call on the inputs; into `marks`, the time before the first and after each."""
        self.enter()
        try:
            self._copy_in(inputs)
            self.claim()
            if marks is None:
                for run in self.program:
                    run()
            else:
                marks[:] = [perf_counter_ns()]
                for run in self._calls:
                    run()
                    marks.append(perf_counter_ns())
        finally:
            self.region.busy.release()

    def watched(self) -> dict[str, Buffer]:
        """The values kept for analyzers, read-only, until the next replay. Raises StaleError after that."""
        if self.region.content is not self._content:
            raise StaleError("no replay has computed the watched values yet, or a later one has overwritten them")
        return {scope: Buffer(self._values[i].buffer().toreadonly()) for scope, i in self.plan.watched.items()}

    def _copy_in(self, inputs: Sequence[Tensor]) -> None:
        """Copy the inputs into the region. Raises ShapeError where they aren't what was captured.

        And CaptureError where the captured function would have seen an input change while it ran.
        """
        targets = [self._values[i] for i in self.plan.inputs]
        for target, given in zip(targets, inputs, strict=True):
            if given.shape != target.shape or given.value.format != target.format:
                found, expected = (show_shape(v.shape, v.format) for v in (given.value, target))
                raise ShapeError(f"a replay's input is {found}, captured was {expected}")
            if given.value in self._changed:
                raise CaptureError(
                    f"an input is {given.value.name or 'a tensor'}, which this plan changes in place, while a replay "
                    "reads a copy of it; close over it instead of passing it"
                )
        sources = [detached(given.value.buffer(), target.buffer()) for given, target in zip(inputs, targets)]
        for target, source in zip(targets, sources):
            flat(target.buffer())[:] = source

    def _check_outside(self) -> None:
        """Raise where a parameter has moved, or a result that the function closes over is gone."""
        for value, buffer in self._outside:
            if value.buffer() is not buffer:
                what = f"{value.name or 'a tensor'}, {show_shape(value.shape, value.format)}"
                raise CaptureError(f"{what}, got other memory after this plan was captured; capture it again")

    def _result(self, index: int) -> Value:
        value = self._values[index]
        return value if self.plan.values[index].offset is None else Result(value, self.region)


def detached(source: Buffer, target: Buffer) -> "Buffer | array[float]":
    """The numbers of an input, copied first where they lie in the region that inputs are about to be written to."""
    return array(source.format, flat(source)) if source.obj is target.obj else flat(source)
