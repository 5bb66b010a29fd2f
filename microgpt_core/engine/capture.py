"""Capture: run a function on shapes alone and write down what it computes.

    step = capture(train_step, batch)
    for batch in data:
        loss = step(batch)

The first call with new shapes captures again, and says so; the plans of a few shapes are kept.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from microgpt_core.components.op import show_shape
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.context import capturing, context, recording
from microgpt_core.engine.plan import Plan
from microgpt_core.engine.planner import Planned, make_plan
from microgpt_core.engine.recompute import Segments
from microgpt_core.engine.region import Region
from microgpt_core.engine.replay import Replay
from microgpt_core.engine.tensor import Tensor
from microgpt_core.engine.value import Trace, Value
from microgpt_core.errors import CaptureError

logger = logging.getLogger(__name__)
MOST_PLANS = 64  # shapes whose plans are kept


class Captured:
    """A function as plans, one for each combination of input shapes, all in one region.

    `watch` names scopes whose values are kept for analyzers, `limit` is the number of plans kept (the one
    unused for longest goes first), and `quiet` captures again without a word. Backward computes again what each
    segment of `recompute`, a group of scopes, has computed, instead of keeping it: `[["block.0"], ["block.1"]]`.
    The gradients in `fresh`, which were allocated together, are computed anew each time, where others are added to,
    and lend the plan their memory until they are.
    """

    def __init__(
        self, function: Callable[..., Any], kernels: Kernels = REFERENCE, watch: Sequence[str] = (),
        region: Region | None = None, limit: int = MOST_PLANS, quiet: bool = False, recompute: Segments = (),
        fresh: Sequence[Value] = (),
    ) -> None:  # fmt: skip
        self.function, self.kernels, self.watch, self.limit, self.quiet = function, kernels, watch, limit, quiet
        self.recompute, self.fresh = recompute, fresh
        self.region = region or Region()
        self.captures = 0
        self._replays: OrderedDict[Hashable, tuple[Replay, Any]] = OrderedDict()

    def __call__(self, *inputs: Any) -> Any:
        """Replay on these inputs, capturing first where their shapes are new. In another capture: just the function."""
        if capturing():
            return self.function(*inputs)
        replay, structure = self._find(inputs)
        return rebuild(structure, iter(replay(*flatten(inputs))))

    def replay_for(self, *inputs: Any) -> Replay:
        """The replay that these inputs' shapes use; captured now if need be, not run."""
        return self._find(inputs)[0]

    def plan_for(self, *inputs: Any) -> Plan:
        """The plan that these inputs' shapes would use, without any memory."""
        return self._make_plan(inputs)[0][0]

    @property
    def plan(self) -> Plan:
        """The plan used last."""
        if not self._replays:
            raise CaptureError("nothing is captured yet: call it once, or use capture(function, *inputs)")
        return next(reversed(self._replays.values()))[0].plan

    def _find(self, inputs: Sequence[Any]) -> tuple[Replay, Any]:
        key = context.gradients, outline(inputs)
        if key not in self._replays:
            if self._replays and not self.quiet:
                logger.warning("captured again, plan %d, for inputs %s", self.captures + 1, show_inputs(inputs))
            planned, structure = self._make_plan(inputs)
            self._replays[key] = Replay(planned, self.region, self.fresh), structure
            self.captures += 1
            while len(self._replays) > max(1, self.limit):
                self._replays.popitem(last=False)
        replay, structure = self._replays[key]
        if replay.left_behind:  # or its old memory would stay
            self._replays[key] = Replay(replay.planned, self.region, self.fresh), structure
        self._replays.move_to_end(key)
        return self._replays[key]

    def _make_plan(self, inputs: Sequence[Any]) -> tuple[Planned, Any]:
        trace, structure = record(self.function, inputs)
        return make_plan(trace, self.kernels, self.watch, self.recompute, self.fresh), structure


def capture(function: Callable[..., Any], *inputs: Any, **options: Any) -> Captured:
    """A function that replays `function`'s calls, captured now on the shapes of `inputs`.

    Inputs and results are tensors, or tuples, lists and dicts of them. The options are Captured's.
    """
    captured = Captured(function, **options)
    captured.replay_for(*inputs)
    return captured


def plan_of(function: Callable[..., Any], *inputs: Any, **options: Any) -> Plan:
    """The plan alone, without any memory. The options are Captured's."""
    return Captured(function, **options).plan_for(*inputs)


def record(function: Callable[..., Any], inputs: Sequence[Any]) -> tuple[Trace, Any]:
    """Run `function` on stand-ins of the inputs' shapes; what it did, and the structure it returned."""
    if capturing():
        raise CaptureError("a capture inside a capture; call the function itself there")
    stand_ins = [Tensor(Value(t.shape, t.value.format)) for t in flatten(inputs)]
    trace = Trace(inputs=[t.value for t in stand_ins])
    with recording(trace):
        result = function(*rebuild(tuple(inputs), iter(stand_ins)))
    results = flatten(result)
    trace.outputs = [t.value for t in results]
    return trace, rebuild(result, (t.detach() for t in results))  # without its history, which would be kept alive


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


def outline(structure: Any) -> Hashable:
    """What two inputs must have in common to use one plan: the same nesting, names, shapes and formats."""
    if isinstance(structure, Tensor):
        if structure.requires_grad:
            raise CaptureError(
                "an input has requires_grad, but a replay gets a copy of it and would leave its gradient empty: "
                "close over what is learned, or pass x.detach()"
            )
        return structure.shape, structure.value.format
    if isinstance(structure, (tuple, list)):
        return type(structure), *map(outline, structure)
    if isinstance(structure, dict):
        return dict, *((name, outline(part)) for name, part in structure.items())
    return None


def rebuild(structure: Any, tensors: Iterator[Tensor]) -> Any:
    """The same structure with other tensors."""
    if isinstance(structure, Tensor):
        return next(tensors)
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*[rebuild(part, tensors) for part in structure])
    if isinstance(structure, (tuple, list)):
        return type(structure)([rebuild(part, tensors) for part in structure])
    if isinstance(structure, dict):
        return {name: rebuild(part, tensors) for name, part in structure.items()}
    return None


def show_inputs(inputs: Sequence[Any]) -> str:
    return ", ".join(show_shape(t.shape, t.value.format) for t in flatten(inputs)) or "(none)"
