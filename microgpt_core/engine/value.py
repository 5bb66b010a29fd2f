"""A value: a buffer, or in a plan the promise of one. And a call: one line of a tape or a plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from microgpt_core.components.buffer import ITEM_BYTES, Buffer, Shape, new_buffer
from microgpt_core.components.op import Op


class Value:
    """Numbers of a known shape and format. `data` is None until there is memory for them.

    A persistent value outlives the plans that use it: a parameter, its gradient, optimizer state. Any
    other value that a plan meets is the plan's own, laid out in its region.
    """

    __slots__ = ("shape", "format", "data", "name", "persistent", "gradient_of")

    def __init__(
        self,
        shape: Shape,
        format: str,
        data: Buffer | None = None,
        name: str = "",
        persistent: bool = False,
        gradient_of: "Value | None" = None,
    ) -> None:
        self.shape, self.format, self.data = shape, format, data
        self.name, self.persistent, self.gradient_of = name, persistent, gradient_of

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * ITEM_BYTES[self.format]

    def allocate(self) -> None:
        """Give it zeros of its own, if it has no memory yet."""
        if self.data is None:
            self.data = new_buffer(self.shape, self.format)


@dataclass(slots=True, eq=False)
class Call:
    """One op's forward or backward on certain values: what eager mode runs at once and a plan writes down."""

    op: Op
    method: str  # "forward" or "backward"
    arguments: dict[str, Value | None]  # by parameter name, in the method's order
    attributes: Mapping[str, Any]
    scope: str = ""
    inputs: tuple[Shape | None, ...] = ()  # the shapes of the op's inputs: backward may not hold them all

    def __post_init__(self) -> None:
        if not self.inputs:
            values = [self.arguments[n] for n in self.op.signature.inputs]
            self.inputs = tuple(None if v is None else v.shape for v in values)

    @property
    def overwrites(self) -> list[str]:
        """The arguments whose old numbers don't matter."""
        return [n for n in self.op.signature.produced if n in self.arguments] if self.method == "forward" else []

    @property
    def updates(self) -> list[str]:
        """The arguments that are changed in place: gradients added to, state moved."""
        if self.method == "forward":
            return [n for n in self.op.mutates if self.arguments[n] is not None]
        inputs = self.op.signature.inputs
        return [n for n, v in self.arguments.items() if v is not None and n.startswith("d_") and n[2:] in inputs]

    @property
    def reads(self) -> list[str]:
        """The arguments whose numbers it needs, those it changes in place among them."""
        written = set(self.overwrites)
        return [n for n, v in self.arguments.items() if v is not None and n not in written]

    def __str__(self) -> str:
        arrow = "<-" if self.method == "backward" else "->"
        return f"{self.scope or '.'} {arrow} {self.op.name}.{self.method}"
