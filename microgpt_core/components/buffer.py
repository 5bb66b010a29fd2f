"""Buffers: numbers in a row that remember their shape.

A buffer is a C-contiguous `memoryview` of format `f` (float32), `d` (float64) or `i` (int32); `H`
(bfloat16) and `B` (bytes) are for storage only. A shaped memoryview can't be sliced, so ops look at
buffers through two views that share its memory: `flat(x)`, all numbers in a row, and `rows(x)`, along
the last axis. Numbers that are used once are read straight from a view; numbers that are used again and
again come as lists, `rows(x).tolist()`, made at once. `write` and `accumulate` store.
"""

from collections.abc import Iterator, Sequence
from math import prod
from operator import add
from struct import pack_into
from typing import TYPE_CHECKING, Any, TypeAlias

Shape: TypeAlias = tuple[int, ...]

if TYPE_CHECKING:  # a memoryview whose shape is known, and whose numbers are float or int by its format

    class Buffer(memoryview[Any]):  # type: ignore[misc]
        shape: Shape

        def __getitem__(self, key: Any, /) -> Any: ...
        def cast(self, format: str, shape: Shape = ...) -> "Buffer": ...  # type: ignore[override]
        def tolist(self) -> list[Any]: ...
else:
    Buffer = memoryview

DTYPES = {"f": "float32", "d": "float64", "i": "int32", "H": "bfloat16", "B": "uint8"}
FORMATS = {name: format for format, name in DTYPES.items()}
STRETCH = 4096
ITEM_BYTES = {"f": 4, "d": 8, "i": 4, "H": 2, "B": 1}


def new_buffer(shape: Shape, format: str = "f") -> Buffer:
    """A buffer of zeros with memory of its own. Raises ValueError for an empty axis."""
    if 0 in shape:
        raise ValueError(f"a buffer of shape {shape} has an empty axis; every axis needs at least 1")
    return Buffer(bytearray(prod(shape) * ITEM_BYTES[format])).cast(format, shape)


def flat(x: Buffer) -> Buffer:
    """All numbers of `x` in a row: a view, so writing to it writes to `x`."""
    return x if x.ndim == 1 else x.cast("B").cast(x.format)


class Rows(Sequence[Buffer]):
    """The rows of a buffer along its last axis, each a one-dimensional view. Made by `rows(x)`."""

    def __init__(self, x: Buffer) -> None:
        self._flat, self._width = flat(x), x.shape[-1]

    def __len__(self) -> int:
        return len(self._flat) // self._width

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start = range(len(self))[index] * self._width
        return self._flat[start : start + self._width]

    def __iter__(self) -> Iterator[Buffer]:
        view, width = self._flat, self._width
        return (view[start : start + width] for start in range(0, len(view), width))

    def tolist(self) -> list[list[Any]]:
        """The numbers as lists, a list a row: a copy, made in one go."""
        return self._flat.cast("B").cast(self._flat.format, (len(self), self._width)).tolist()

    def columns(self) -> list[list[Any]]:
        """The numbers as lists, a list a column. Faster to read than `zip(*rows)`: its numbers lie in order."""
        return [self._flat[i :: self._width].tolist() for i in range(self._width)]


def rows(x: Buffer) -> Rows:
    """The rows of `x` along its last axis, whatever its number of axes."""
    return Rows(x)


def write(out: Buffer, values: Sequence[float]) -> None:
    """out = values, a list of as many numbers in row-major order. An op's forward writes."""
    pack_into(f"{out.nbytes // out.itemsize}{out.format}", out, 0, *values)


def accumulate(out: Buffer, values: Sequence[float]) -> None:
    """out += values. An op's backward accumulates, since a value that was used twice has two gradients."""
    view = flat(out)
    for part in stretches(len(view)):
        write(view[part], list(map(add, view[part], values[part])))


def stretches(n: int) -> Iterator[slice]:
    """range(n) in slices whose numbers, as Python objects, fit a core's cache: a sixth faster on large buffers."""
    return (slice(start, start + STRETCH) for start in range(0, n, STRETCH))
