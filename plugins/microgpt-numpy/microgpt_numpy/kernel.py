"""What the kernels share. A kernel's `forward` and `backward` are called once, on the arrays of a call, and
return what is to be done in every run: all views and scratch arrays are made before, none while it runs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import copy_context
from functools import partial
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from microgpt_core.components import Kernel, Shape

Array: TypeAlias = NDArray[Any]
Run: TypeAlias = Callable[[], object]

FORMATS = {"f": "float32", "d": "float64", "i": "int32"}
ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


class Scratch:
    """A workspace given out as arrays, one behind the other. Without memory it only counts what is asked for."""

    def __init__(self, memory: Array | None = None) -> None:
        self.memory, self.used = memory, 0

    def array(self, shape: Shape, dtype: DTypeLike) -> Array:
        start, nbytes = self.used, prod(shape) * np.dtype(dtype).itemsize
        self.used += -(-nbytes // ALIGNMENT) * ALIGNMENT
        if self.memory is None:
            return stand_in(shape, dtype)
        return self.memory[start : start + nbytes].view(dtype).reshape(shape)

    def like(self, x: Array) -> Array:
        return self.array(x.shape, x.dtype)

    def in_turn(self, prepare: Callable[..., Run], parts: Iterable[tuple[Any, ...]]) -> Run:
        """The runs of all parts, one after the other, so that they share what each of them takes."""
        begin, end, runs = self.used, self.used, []
        for part in parts:
            self.used = begin
            runs.append(prepare(*part))
            end = max(end, self.used)
        self.used = end
        return runs[0] if len(runs) == 1 else one_by_one(runs)


def stand_in(shape: Shape, dtype: DTypeLike) -> Array:
    """An array of that shape without its memory: one zero, seen everywhere."""
    return np.broadcast_to(np.zeros((), dtype), shape)


class ArrayKernel(Kernel):
    """A kernel on arrays: `forward(self, out, x, *, scratch)` prepares a call and returns its run.

    Backward always *writes* the gradients that the class names in `sets`. Where a call has to add instead, it is
    given scratch arrays in their place, which are added after the run. Other gradients it adds to by itself.
    """

    def supports(self, shapes: Mapping[str, Shape], formats: Mapping[str, str]) -> str | None:
        strange = [f"{name} has format {format!r}" for name, format in formats.items() if format not in FORMATS]
        return f"{strange[0]}; NumPy's kernels know {', '.join(FORMATS.values())}" if strange else None

    def workspace(
        self, method: str, shapes: Mapping[str, Shape | None], formats: Mapping[str, str], attributes: Mapping[str, Any]
    ) -> int:
        """What the preparation takes from the scratch: it is tried on stand-ins."""
        views = {name: None if shape is None else stand_in(shape, formats[name]) for name, shape in shapes.items()}
        scratch = Scratch()
        self.lay_out(method, views, attributes, scratch)
        return scratch.used

    def prepare(
        self, method: str, views: Mapping[str, Any], attributes: Mapping[str, Any], workspace: Any
    ) -> Callable[[], object]:
        """The run, in a context of its own where infinity and NaN come about without a warning.

        NumPy keeps `errstate` in a context variable. Entering a context made once costs a fifteenth of setting it.
        """
        run, quiet = self.lay_out(method, views, attributes, Scratch(workspace)), copy_context()
        quiet.run(np.seterr, all="ignore")
        return partial(quiet.run, run)

    def lay_out(
        self, method: str, views: Mapping[str, Array | None], attributes: Mapping[str, Any], scratch: Scratch
    ) -> Run:
        """The run, which writes what it may and adds the rest."""
        settings, written, sums = dict(attributes), dict(views), []
        free = settings.pop("sets", ())
        for name in self.sets:
            d = views.get(name)
            if d is not None and name not in free:
                written[name] = part = scratch.like(d)
                sums.append((d, part))
        run: Run = getattr(self, method)(*written.values(), scratch=scratch, **settings)
        return adding(run, sums) if sums else run


def one_by_one(runs: Sequence[Run]) -> Run:
    def run_all() -> None:
        for run in runs:
            run()

    return run_all


def adding(run: Run, sums: Sequence[tuple[Array, Array]]) -> Run:
    """The run, and then d += part for each pair."""

    def run_and_add() -> None:
        run()
        for d, part in sums:
            np.add(d, part, out=d)

    return run_and_add


def nothing() -> None:
    """The run of a call that nobody wants anything of."""


def rows(x: Array) -> Array:
    """x as a matrix of rows along its last axis."""
    return x.reshape(-1, x.shape[-1])


def reference(method: Callable[..., None], *arrays: Array | None, **attributes: Any) -> Run:
    """The core's own forward or backward on the same numbers, for what is too rare to be written twice."""
    return partial(method, *(None if x is None else x.data for x in arrays), **attributes)
