"""What a native call may be given: checked once, when a kernel is bound to its buffers, since C would just write.

The engine's plans are right by construction; this is for whoever binds a kernel by hand.
"""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

from microgpt_core.components import Buffer, Op, Shape, show_shape
from microgpt_core.errors import ShapeError
from microgpt_simd.native import span

Views = Mapping[str, Buffer | None]
Attributes = Mapping[str, Any]
LARGEST = 1 << 62


def check_call(
    op: Op, method: str, views: Views, attributes: Attributes, numbers: Callable[[Attributes], Attributes] = dict
) -> None:
    """Raise ShapeError where a buffer isn't what the op's signature wants, or one that is written overlaps another.

    `numbers` makes of the attributes what the code gets.
    """
    names = op.signature.forward if method == "forward" else op.signature.backward
    if tuple(views) != names:
        raise ShapeError(f"{op.name}.{method}: arguments are {', '.join(views)}; expected {', '.join(names)}")
    wanted = op.signature.forward_attributes if method == "forward" else op.signature.backward_attributes
    if tuple(attributes) != wanted:
        found, allowed = (", ".join(names) or "none" for names in (attributes, wanted))
        raise ShapeError(f"{op.name}.{method}: attributes are {found}; expected {allowed}")
    for name, value in numbers(attributes).items():
        check_attribute(f"{op.name}.{method}: {name}", value)
    for name, view in views.items():
        if view is not None:
            check_view(op, name, view)
        elif name not in op.signature.optional and not may_be_left_out(op, name):
            raise ShapeError(f"{op.name}.{method}: {name} is missing")
    layouts = layouts_of(op, views, attributes)
    for name, view in views.items():
        if view is not None:
            check_layout(op, method, name, view, *layouts[name.removeprefix("d_") if name not in layouts else name])
    check_overlap(op, method, views)


def check_attribute(what: str, value: object) -> None:
    """C gets it as a float and as a whole number of 64 bits."""
    if value is not None and not isinstance(value, int | float):
        raise ShapeError(f"{what} is {value!r}, expected a number or None")
    if isinstance(value, int) and abs(value) >= LARGEST:
        raise ShapeError(f"{what} has {value.bit_length()} bits, expected less than 2**62")


def check_workspace(what: str, workspace: object, nbytes: int) -> None:
    """Raise ShapeError where what is lent to a call isn't as large as it asked for, or can't be written."""
    if not isinstance(workspace, memoryview) or workspace.nbytes < nbytes:
        raise ShapeError(f"{what} needs a workspace of {nbytes:,} bytes")
    if workspace.readonly or not workspace.c_contiguous:
        raise ShapeError(f"{what} needs a workspace that is C-contiguous and can be written")


def check_view(op: Op, name: str, view: Buffer) -> None:
    what = f"{op.name}: {name}"
    if not isinstance(view, memoryview) or not view.c_contiguous:
        raise ShapeError(f"{what} is a {type(view).__name__}, expected a C-contiguous memoryview")
    if 0 in view.shape or not view.shape:
        raise ShapeError(f"{what} has shape {view.shape}; every axis needs at least 1, and there is at least one")


def check_layout(op: Op, method: str, name: str, view: Buffer, format: str, shape: Shape) -> None:
    if view.format != format and not (op.name == "zero" and view.format in "fi"):
        raise ShapeError(f"{op.name}: {name} has format {view.format!r}, expected {format!r}")
    if view.shape != shape:
        found, expected = show_shape(view.shape), show_shape(shape)
        raise ShapeError(f"{op.name}.{method}: {name} has shape {found}, expected {expected}")


def layouts_of(op: Op, views: Views, attributes: Mapping[str, Any]) -> dict[str, tuple[str, Shape]]:
    """The format and shape that each input, output and saved value must have, as far as the given ones tell.

    An input that backward doesn't read, and whose gradient nobody wants, is taken to be as the output is, or one a row
    or one a column of it: as the op's own `shapes` has it.
    """
    shapes = {name: view.shape for name, view in views.items() if view is not None}
    result = next((shapes[n] for o in op.signature.outputs for n in (f"d_{o}", o) if n in shapes), ())
    told = {n: shapes.get(n, shapes.get(f"d_{n}")) for n in op.signature.inputs}
    untold = [n for n, shape in told.items() if shape is None and n not in op.signature.optional]
    values = {**op.signature.attributes, **attributes}
    problems = []
    for guess in product((result, result[:-1], result[-1:]), repeat=len(untold)):
        inputs = told | dict(zip(untold, guess))
        try:
            made = op.shapes(*inputs.values(), **{n: values[n] for n in op.signature.attributes})
        except ShapeError as problem:
            problems.append(problem)
            continue
        layouts = {n: ("i" if n in op.integers else "f", shape) for n, shape in inputs.items() if shape}
        return layouts | {n: found if isinstance(found[0], str) else ("f", found) for n, found in made.items()}
    raise problems[0]


def may_be_left_out(op: Op, name: str) -> bool:
    """Gradients that nobody wants."""
    return name.startswith("d_") and name.removeprefix("d_") in op.signature.inputs


def check_overlap(op: Op, method: str, views: Views) -> None:
    """Two gradients may be one buffer, where two inputs were one tensor; nothing else that is written may be shared."""
    gradients = {name for name in views if may_be_left_out(op, name)}
    written = gradients if method == "backward" else {*op.signature.produced, *op.mutates}
    spans = {name: span(view) for name, view in views.items() if view is not None}
    for name in sorted(written & set(spans)):
        low, high = spans[name]
        if (view := views[name]) is not None and view.readonly:
            raise ShapeError(f"{op.name}.{method}: {name}, which is written, is read-only")
        for other, (start, end) in spans.items():
            same = {name, other} <= gradients and (low, high) == (start, end)
            if other != name and low < end and start < high and not same:
                raise ShapeError(f"{op.name}.{method}: {name}, which is written, overlaps {other}")
