"""Numbers as people have them, nested lists or some library's array, and as they read them: in and out of buffers."""

from array import array
from collections.abc import Sequence
from typing import Any

from microgpt_core.components.buffer import DTYPES, FORMATS, Buffer, Shape, flat, new_buffer
from microgpt_core.components.op import show_shape
from microgpt_core.errors import ShapeError

ALLOWED = ("float32", "float64", "int32")


def from_buffer(numbers: Any, dtype: str | None) -> Buffer | None:
    """The buffer that an array is, without a copy; None for what is none. Raises ShapeError where it can't be used."""
    try:
        data = Buffer(numbers)
    except TypeError:
        return None
    if data.ndim == 0:  # a NumPy scalar
        return None
    if data.format == "l" and data.itemsize == 4:  # how Windows spells int32
        data = data.cast("B").cast("i", data.shape)
    found = DTYPES.get(data.format, f"of format {data.format!r}")
    if found not in ALLOWED or dtype not in (None, found):
        wanted = dtype or " or ".join(ALLOWED)
        raise ShapeError(f"an array is used as it is, and this one is {found}; convert it to {wanted} first")
    if not data.c_contiguous:
        raise ShapeError("an array is used as it is, and the numbers of this one don't lie in a row; copy it first")
    check_axes(data.shape)
    return data


def from_lists(numbers: Any, dtype: str) -> Buffer:
    """A new buffer of nested lists' numbers. Raises ShapeError for ragged or empty lists, and for other things."""
    shape, values = measure(numbers if is_list(numbers) else [numbers])
    check_axes(shape)
    data = new_buffer(shape, FORMATS[dtype])
    try:
        flat(data)[:] = array(data.format, values)
    except (TypeError, OverflowError) as error:
        raise ShapeError(f"not all of these numbers are {dtype}: {error}") from None
    return data


def measure(numbers: Sequence[Any]) -> tuple[Shape, list[float]]:
    """The shape of nested lists and their numbers in a row."""
    if not any(map(is_list, numbers)):
        return (len(numbers),), list(numbers)
    parts = [measure(part) if is_list(part) else ((), []) for part in numbers]
    first = parts[0][0]
    if others := [shape for shape, _ in parts if shape != first]:
        found = f"{show_shape(first)} and {show_shape(others[0])}"
        raise ShapeError(f"a tensor needs lists of one length at each level; found parts of shape {found}")
    return (len(parts), *first), [n for _, values in parts for n in values]


def is_list(numbers: Any) -> bool:
    return isinstance(numbers, Sequence) and not isinstance(numbers, str)


def check_axes(shape: Shape) -> None:
    if 0 in shape:
        raise ShapeError(f"a tensor of shape {show_shape(shape)} has an empty axis; every axis needs at least 1")


def show_numbers(numbers: Any) -> str:
    """Nested lists with four significant digits, long ones shortened in the middle."""
    if not isinstance(numbers, list):
        return f"{numbers:.4g}" if isinstance(numbers, float) else str(numbers)
    shown = [show_numbers(n) for n in (numbers if len(numbers) <= 8 else numbers[:4] + numbers[-3:])]
    if len(numbers) > 8:
        shown.insert(4, "...")
    return f"[{', '.join(shown)}]"
