"""Capture: run a function on shapes alone and write down what it computes.

    step = capture(train_step, batch)
    for batch in data:
        loss = step(batch)

The first call with new shapes captures again, and says so; the plans of a few shapes are kept.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from microgpt_core.components.op import show_shape
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.context import capturing, context
from microgpt_core.engine.plan import Plan
from microgpt_core.engine.planner import Trace, make_plan
from microgpt_core.engine.region import Region
from microgpt_core.engine.replay import Replay
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Value
from microgpt_core.errors import CaptureError

logger = logging.getLogger(__name__)


class Captured:
    """A function as plans, one for each combination of input shapes, all in one region."""

    def __init__(
        self,
        function: Callable[..., Any],
        kernels: Kernels = REFERENCE,
        watch: Sequence[str] = (),
        region: Region | None = None,
        limit: int = 64,
        quiet: bool = False,
    ) -> None:
        self.function, self.kernels, self.watch, self.limit, self.quiet = function, kernels, watch, limit, quiet
        self.region = region or Region()
        self.captures = 0
        self._replays: OrderedDict[tuple[Any, ...], tuple[Replay, Any]] = OrderedDict()

    def __call__(self, *inputs: Any) -> Any:
        """Replay on these inputs, capturing first where their shapes are new."""
        tensors = flatten(inputs)
        key = tuple((t.shape, t.value.format) for t in tensors)
        if key not in self._replays:
            self._capture(key, inputs)
        self._replays.move_to_end(key)
        replay, structure = self._replays[key]
        return rebuild(structure, iter(replay(*tensors)))

    def replay_for(self, *inputs: Any) -> Replay:
        """The replay that these inputs' shapes use; captured now if need be, not run."""
        key = tuple((t.shape, t.value.format) for t in flatten(inputs))
        if key not in self._replays:
            self._capture(key, inputs)
        return self._replays[key][0]

    @property
    def plan(self) -> Plan:
        """The plan used last."""
        return next(reversed(self._replays.values()))[0].plan

    def _capture(self, key: tuple[Any, ...], inputs: Sequence[Any]) -> None:
        if self._replays and not self.quiet:
            shapes = ", ".join(show_shape(shape, format) for shape, format in key)
            logger.warning("captured again for inputs %s (%d plans)", shapes, len(self._replays) + 1)
        trace, structure = record(self.function, inputs)
        self._replays[key] = Replay(trace, self.kernels, self.watch, self.region), structure
        self.captures += 1
        if len(self._replays) > self.limit:
            self._replays.popitem(last=False)


def capture(function: Callable[..., Any], *inputs: Any, **options: Any) -> Captured:
    """A function that replays `function`'s calls, captured now on the shapes of `inputs`.

    Inputs and results are tensors, or tuples, lists and dicts of them. The options are Captured's.
    """
    captured = Captured(function, **options)
    captured.replay_for(*inputs)
    return captured


def plan_of(function: Callable[..., Any], *inputs: Any, kernels: Kernels = REFERENCE, watch: Sequence[str] = ()) -> Plan:
    """The plan alone, without any memory."""
    return make_plan(record(function, inputs)[0], kernels, watch)[0]


def record(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Trace, Any]:
    """Run `function` on stand-ins of the inputs' shapes; what it did, and the structure it returned."""
    if capturing():
        raise CaptureError("a capture inside a capture; call the function itself there")
    stand_ins = [Tensor(Value(t.shape, t.value.format)) for t in flatten(inputs)]
    trace = Trace(inputs=[t.value for t in stand_ins])
    with recording(trace):
        structure = function(*rebuild(tuple(inputs), iter(stand_ins)))
    trace.outputs = [t.value for t in flatten(structure)]
    return trace, structure


@contextmanager
def recording(trace: Trace) -> Iterator[None]:
    context.record, context.label = trace.calls.append, trace.labels.__setitem__
    try:
        yield
    finally:
        context.record = context.label = None


def flatten(structure: Any) -> list[Tensor]:
    """The tensors in nested tuples, lists and dicts, in order. Anything else is refused: a plan would freeze it."""
    if isinstance(structure, Tensor):
        return [structure]
    if isinstance(structure, (tuple, list)):
        return [t for part in structure for t in flatten(part)]
    if isinstance(structure, dict):
        return [t for part in structure.values() for t in flatten(part)]
    if structure is None:
        return []
    raise CaptureError(
        f"a captured function takes and returns tensors, found {structure!r} ({type(structure).__name__}): its value "
        "would be frozen into the plan; pass mg.tensor([...]) for what changes, close over what doesn't"
    )


def rebuild(structure: Any, tensors: Iterator[Tensor]) -> Any:
    """The same structure with other tensors."""
    if isinstance(structure, Tensor):
        return next(tensors)
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*(rebuild(part, tensors) for part in structure))
    if isinstance(structure, (tuple, list)):
        return type(structure)(rebuild(part, tensors) for part in structure)
    if isinstance(structure, dict):
        return {name: rebuild(part, tensors) for name, part in structure.items()}
    return None
