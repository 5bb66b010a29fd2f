"""Replay: a plan bound to memory, its kernels prepared once, run as often as you like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from microgpt_core.components.buffer import Buffer, flat
from microgpt_core.components.op import show_shape
from microgpt_core.engine.backends import Kernels
from microgpt_core.engine.plan import Plan
from microgpt_core.engine.planner import Line, Trace, make_plan
from microgpt_core.engine.region import Region
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import CaptureError, ShapeError, StaleError


class Output(Tensor):
    """What a replay returned: readable until the next replay in the same region overwrites it."""

    __slots__ = ("region", "serial")

    def __init__(self, value: Value, region: Region) -> None:
        super().__init__(value)
        self.region, self.serial = region, region.serial

    @property
    def data(self) -> Buffer:
        if self.region.serial != self.serial:
            raise StaleError(
                "this output was overwritten by a later replay; read it (item(), tolist()) before replaying again"
            )
        return super().data


class Replay:
    """A plan in memory. Calling it copies the inputs in, runs every call, and returns the outputs."""

    def __init__(self, trace: Trace, kernels: Kernels, watch: Sequence[str] = (), region: Region | None = None) -> None:
        self.plan, values, lines = make_plan(trace, kernels, watch)
        self.region = region or Region()
        self.region.reserve(self.plan.region_bytes)
        self._values = [self._bound(v, i) for i, v in enumerate(values)]
        by_value = dict(zip(values, self._values))
        self._program = [self._prepare(line, by_value, kernels) for line in lines]

    def _bound(self, value: Value, index: int) -> Value:
        """The value with memory: its own if it is persistent, otherwise its place in the region."""
        planned = self.plan.values[index]
        if planned.role == "persistent":
            return value
        assert planned.offset is not None
        return Value(value.shape, value.format, self.region.view(planned.offset, value.shape, value.format, value.nbytes))

    @staticmethod
    def _prepare(line: Line, by_value: dict[Value, Value], kernels: Kernels):  # type: ignore[no-untyped-def]
        arguments = {n: v and by_value[v] for n, v in line.call.arguments.items()}
        return kernels.prepare(replace(line.call, arguments=arguments), line.choice, line.sets)

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Run the plan on inputs of the captured shapes. The outputs live until the region's next replay."""
        if self.region.busy:
            raise CaptureError("two replays in one region at once; give the second a region of its own")
        self.region.busy = True
        try:
            for index, given in zip(self.plan.inputs, inputs, strict=True):
                copy_in(self._values[index], given.value)
            self.region.serial += 1
            for run in self._program:
                run()
        finally:
            self.region.busy = False
        return [self._output(i) for i in self.plan.outputs]

    def watched(self) -> dict[str, Buffer]:
        """The values kept for analyzers, read-only, until the next replay."""
        return {scope: Output(self._values[i], self.region).data.toreadonly() for scope, i in self.plan.watched.items()}

    def _output(self, index: int) -> Tensor:
        value = self._values[index]
        return Tensor(value) if self.plan.values[index].role == "persistent" else Output(value, self.region)


def copy_in(target: Value, source: Value) -> None:
    """Copy an input into the region. Raises ShapeError where it isn't what was captured."""
    if source.data is None or target.data is None:
        raise CaptureError("an input without numbers can't be replayed; pass tensors made by mg.tensor")
    if source.shape != target.shape or source.format != target.format:
        found, expected = show_shape(source.shape, source.format), show_shape(target.shape, target.format)
        raise ShapeError(f"a replay's input is {found}, captured was {expected}")
    flat(target.data)[:] = flat(source.data)
