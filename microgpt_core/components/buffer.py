"""Buffers: numbers in a row that remember their shape.

A buffer is a C-contiguous `memoryview` of format `f` (float32), `d` (float64) or `i` (int32); `H`
(bfloat16) and `B` (bytes) are for storage only. A shaped memoryview can't be sliced, so ops look at
buffers through two views that share its memory: `flat(x)`, all numbers in a row, and `rows(x)`, along
the last axis. Numbers that are used once are read straight from a view; numbers that are used again and
again come as lists, `rows(x).tolist()`, made at once. `write` and `accumulate` store.
"""

from array import array
from collections.abc import Iterator, Sequence
from math import prod
from operator import add
from typing import TypeAlias

Shape: TypeAlias = tuple[int, ...]
Buffer: TypeAlias = memoryview

DTYPES = {"f": "float32", "d": "float64", "i": "int32", "H": "bfloat16", "B": "uint8"}
FORMATS = {name: format for format, name in DTYPES.items()}
STRETCH = 4096
ITEM_BYTES = {"f": 4, "d": 8, "i": 4, "H": 2, "B": 1}


def new_buffer(shape: Shape, format: str = "f") -> Buffer:
    """A buffer of zeros with memory of its own. Raises ValueError for an empty axis."""
    if 0 in shape:
        raise ValueError(f"a buffer of shape {shape} has an empty axis; every axis needs at least 1")
    return memoryview(bytearray(prod(shape) * ITEM_BYTES[format])).cast("B").cast(format, shape)  # type: ignore[call-overload, no-any-return]


def flat(x: Buffer) -> memoryview:
    """All numbers of `x` in a row: a view, so writing to it writes to `x`."""
    return x if x.ndim == 1 else x.cast("B").cast(x.format)  # type: ignore[call-overload, no-any-return]


class Rows(Sequence[memoryview]):
    """The rows of a buffer along its last axis, each a one-dimensional view. Made by `rows(x)`."""

    def __init__(self, x: Buffer) -> None:
        self._flat, self._width = flat(x), x.shape[-1]

    def __len__(self) -> int:
        return len(self._flat) // self._width

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        start = range(len(self))[index] * self._width
        return self._flat[start : start + self._width]

    def __iter__(self) -> Iterator[memoryview]:
        view, width = self._flat, self._width
        return (view[start : start + width] for start in range(0, len(view), width))

    def tolist(self) -> list[list[float]]:
        """The numbers as lists, a list a row: a copy, made in one go."""
        return self._flat.cast("B").cast(self._flat.format, (len(self), self._width)).tolist()  # type: ignore


    def columns(self) -> list[list[float]]:
        """The numbers as lists, a list a column. Faster to read than `zip(*rows)`: its numbers lie in order."""
        return [self._flat[i :: self._width].tolist() for i in range(self._width)]


def rows(x: Buffer) -> Rows:
    """The rows of `x` along its last axis, whatever its number of axes."""
    return Rows(x)


def write(out: Buffer, values: list[float]) -> None:
    """out = values, a list of as many numbers in row-major order. An op's forward writes."""
    flat(out)[:] = array(out.format, values)


def accumulate(out: Buffer, values: Sequence[float]) -> None:
    """out += values. An op's backward accumulates, since a value that was used twice has two gradients."""
    view = flat(out)
    for part in stretches(len(view)):
        view[part] = array(view.format, list(map(add, view[part], values[part])))


def stretches(n: int) -> Iterator[slice]:
    """range(n) in slices whose numbers, as Python objects, fit a core's cache: a sixth faster on large buffers."""
    return (slice(start, start + STRETCH) for start in range(0, n, STRETCH))
