"""Who runs a call: the choice of a kernel, and a call bound to its buffers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from microgpt_core.components import Backend, Buffer, Kernel, Pass, new_buffer
from microgpt_core.components.op import Op
from microgpt_core.engine.value import Call
from microgpt_core.errors import ConfigurationError, UnknownNameError


class Reference(Backend):
    """Pure Python on the standard library: the ops themselves are its kernels, so it runs every op."""

    name = "reference"


LISTED = 40  # bytes of a float in a list: 24 for the object, which the allocator rounds up to 32, and a pointer


@dataclass
class Choice:
    """Who won a call, and why the backends asked before could not have it."""

    backend: Backend
    kernel: Kernel | Op
    refusals: list[str] = field(default_factory=list)
    forced: bool = False  # no other was asked

    @property
    def sets(self) -> tuple[str, ...]:
        return self.kernel.sets if isinstance(self.kernel, Kernel) else ()

    def scratch(self, call: Call) -> int:
        """The bytes that the kernel is lent while the call runs."""
        if not isinstance(self.kernel, Kernel):
            return 0
        values = call.arguments.items()
        shapes = {n: None if v is None else v.shape for n, v in values}
        formats = {n: v.format for n, v in values if v is not None}
        return self.kernel.workspace(call.method, shapes, formats, taken(call))

    def workspace(self, call: Call, numbers: int) -> int:
        """The bytes that the call needs beside its arguments, of which it reads or makes so many numbers.

        The reference makes lists of them; ops without a derivative work in short stretches.
        """
        if isinstance(self.kernel, Kernel):
            return self.scratch(call)
        return numbers * LISTED if call.op.signature.backward else 0

    def bind(
        self, call: Call, buffers: Sequence[Buffer | None], sets: frozenset[str] = frozenset(),
        workspace: Buffer | None = None,
    ) -> Callable[[], object]:  # fmt: skip
        """The call on these buffers, one for each argument: to be called many times, making nothing anew.

        `workspace` holds the bytes of `scratch`, or more; without it the call gets its own.
        """
        views = {n: None if b is None else self.backend.view(b) for n, b in zip(call.arguments, buffers)}
        keywords = taken(call)
        if not isinstance(self.kernel, Kernel):
            return partial(getattr(self.kernel, call.method), *views.values(), **keywords)
        if any(name in call.arguments for name in self.sets):
            keywords["sets"] = sets
        nbytes, lent = self.scratch(call), None
        if nbytes:
            lent = self.backend.view(new_buffer((nbytes,), "B") if workspace is None else workspace[:nbytes])
        return self.kernel.prepare(call.method, views, keywords, lent)


def taken(call: Call) -> dict[str, Any]:
    """The attributes that a call's method takes."""
    signature = call.op.signature
    names = signature.forward_attributes if call.method == "forward" else signature.backward_attributes
    return {n: call.attributes[n] for n in names}


@dataclass
class Kernels:
    """The backends to ask, in order, and the kernels that there are. The reference always comes last.

    `forced` names the only backend to ask for an op: `{"attention": "reference"}`. Raises UnknownNameError
    where it names none of the backends.
    """

    backends: Sequence[Backend] = ()
    table: Mapping[str, Kernel] = field(default_factory=dict)  # "backend/op" -> kernel
    forced: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[Backend] = ()  # asked only where they are forced
    passes: Sequence[Pass] = ()  # what rewrites calls before they get a kernel

    def __post_init__(self) -> None:
        self._order = [*(b for b in self.backends if not isinstance(b, Reference)), Reference()]
        known = {b.name: b for b in (*self._order, *self.others)}
        for op, name in self.forced.items():
            if name not in known:
                raise UnknownNameError("backend", name, known, f"It was forced for the op {op!r}")
        self._forced = {op: [known[name]] for op, name in self.forced.items()}

    def choose(self, call: Call) -> Choice:
        """The first backend that has a kernel for this call, as its shapes and formats are.

        Raises ConfigurationError where the op is forced onto a backend that can't run it.
        """
        refusals: list[str] = []
        forced = call.op.name in self._forced
        for backend in self._forced.get(call.op.name, self._order):
            if isinstance(backend, Reference):
                return Choice(backend, call.op, refusals, forced)
            kernel = self.table.get(f"{backend.name}/{call.op.name}")
            reason = "has no kernel" if kernel is None else refusal(kernel, call)
            if kernel is not None and reason is None:
                return Choice(backend, kernel, refusals, forced)
            refusals.append(f"{backend.name}: {reason}")
        raise ConfigurationError(
            f"{call} is forced onto a backend that can't run it: {refusals[0]}; allowed: reference"
        )


def refusal(kernel: Kernel, call: Call) -> str | None:
    """Why a kernel can't run a call; None where it can."""
    if not kernel.has(call.method):
        return f"has no {call.method}"
    values = {n: v for n, v in call.arguments.items() if v is not None}
    return kernel.supports({n: v.shape for n, v in values.items()}, {n: v.format for n, v in values.items()})


REFERENCE = Kernels()
