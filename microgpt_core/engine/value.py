"""A value: a buffer, or in a plan the promise of one. A call: a line of a tape or a plan. A trace: all its lines."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

from microgpt_core.components.buffer import ITEM_BYTES, Buffer, Shape, new_buffer
from microgpt_core.components.op import Op, show_shape
from microgpt_core.errors import CaptureError


class Value:
    """Numbers of a known shape and format. `data` is None until there is memory for them.

    A persistent value outlives the plans that use it: parameters, their gradients, optimizer state, and
    whatever eager code made. Of the others, those with numbers are a plan's constants, and those without are
    laid out in its region.
    """

    __slots__ = ("shape", "format", "data", "name", "persistent", "gradient_of")

    def __init__(
        self, shape: Shape, format: str, data: Buffer | None = None, name: str = "", persistent: bool = False,
        gradient_of: "Value | None" = None,
    ) -> None:  # fmt: skip
        self.shape, self.format, self.data = shape, format, data
        self.name, self.persistent, self.gradient_of = name, persistent, gradient_of

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * ITEM_BYTES[self.format]

    @property
    def external(self) -> bool:
        """Whether it has memory of its own outside of any plan's region."""
        return self.persistent or self.data is not None

    def allocate(self) -> None:
        """Give it zeros of its own."""
        self.data = new_buffer(self.shape, self.format)

    def buffer(self) -> Buffer:
        """Its numbers. Raises CaptureError where there are none yet."""
        if self.data is None:
            what = f"{self.name or 'a tensor'}, {show_shape(self.shape, self.format)}"
            raise CaptureError(
                f"{what}, has no numbers yet: in a capture there are only shapes (return the tensor, and read it after "
                "the replay), and a model has no memory before model.allocate()"
            )
        return self.data


@dataclass(slots=True, eq=False)
class Call:
    """One op's forward or backward on certain values: what eager mode runs at once and a plan writes down."""

    op: Op
    method: str  # "forward" or "backward"
    arguments: dict[str, Value | None]  # by parameter name, in the method's order
    attributes: Mapping[str, Any]
    scope: str = ""
    inputs: tuple[Shape | None, ...] = ()  # the shapes of the op's inputs: backward may not hold them all
    again: bool = False  # a forward call that recompute repeats for backward

    def __post_init__(self) -> None:
        if not self.inputs:
            values = [self.arguments[n] for n in self.op.signature.inputs]
            self.inputs = tuple(None if v is None else v.shape for v in values)

    @property
    def overwrites(self) -> dict[str, Value]:
        """The arguments whose old numbers don't matter."""
        return self._present(self.op.signature.produced) if self.method == "forward" else {}

    @property
    def updates(self) -> dict[str, Value]:
        """The arguments that are changed in place: gradients added to, state moved."""
        if self.method == "forward":
            return self._present(self.op.mutates)
        return self._present(tuple(f"d_{n}" for n in self.op.signature.inputs))

    @property
    def reads(self) -> dict[str, Value]:
        """The arguments whose numbers it needs, those it changes in place among them."""
        written = self.overwrites
        return {n: v for n, v in self.arguments.items() if v is not None and n not in written}

    def _present(self, names: tuple[str, ...]) -> dict[str, Value]:
        return {n: v for n in names if (v := self.arguments.get(n)) is not None}

    def __str__(self) -> str:
        return f"{self.scope + ': ' if self.scope else ''}{self.op.name}.{self.method}"


@dataclass
class Trace:
    """What a captured function did: its calls in order, and which values came in and go out."""

    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    labels: dict[str, Value] = field(default_factory=dict)  # scope -> the value that scope computed

    def add(self, call: Call) -> None:
        """Write a call down. Raises CaptureError where eager code would change what a replay can't reach."""
        if call.method == "forward":
            for name, value in call.updates.items():
                if value in self.inputs:
                    raise CaptureError(
                        f"{call} changes {name}, an input of the captured function, of which a replay gets "
                        "a copy; close over what changes in place instead of passing it"
                    )
                if value.external and not value.persistent:
                    raise CaptureError(
                        f"{call} changes {name}, a tensor made inside the captured function, whose numbers "
                        "are constants of the plan; make it outside"
                    )
        self.calls.append(call)
