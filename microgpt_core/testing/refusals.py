"""An op says what doesn't fit, by name, before anything is computed: not with an error from deep inside."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from math import prod
from random import Random

from microgpt_core.components import Buffer, Shape, flat, new_buffer, show_shape, write
from microgpt_core.errors import MicrogptError, ShapeError
from microgpt_core.testing.case import Case, drawn
from microgpt_core.testing.contract import where


def refuses_wrong_shapes(case: Case) -> Iterator[str]:
    """`shapes` takes what forward can compute; for the rest it raises ShapeError."""
    for name, b in case.inputs.items():
        if b is None:
            continue
        for shape in ((*b.shape, 2), (*b.shape[:-1], b.shape[-1] + 1)):
            inputs = {**case.inputs, name: reshaped(b, shape)}
            shapes = [None if x is None else x.shape for x in inputs.values()]
            what = f"where {name} is {show_shape(shape)}"
            try:
                case.op.shapes(*shapes, **case.attributes)
            except ShapeError:
                continue
            except Exception as error:  # noqa: BLE001 - whatever an author's op raises
                yield f"shapes raises {type(error).__name__} {what}, expected ShapeError: {error} {place(case)}"
                return
            try:
                replace(case, inputs=inputs).forward()
            except MicrogptError:
                continue  # numbers that don't fit each other, such as ids
            except Exception as error:  # noqa: BLE001
                yield f"shapes lets pass {what}, but forward fails: {type(error).__name__}: {error} {place(case)}"
                return


def reshaped(b: Buffer, shape: Shape) -> Buffer:
    """A buffer of another shape: random numbers, or the same integers over and over."""
    if b.format != "i":
        return drawn(shape, b.format, Random("shapes"))
    result = new_buffer(shape, "i")
    write(result, list(islice(cycle(flat(b)), prod(shape))))
    return result


def place(case: Case) -> str:
    return where(case, "shapes")
