"""Who runs a call: the choice of a kernel, and a call prepared to run many times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from microgpt_core.components import Backend, Kernel
from microgpt_core.components.op import Op
from microgpt_core.engine.value import Call
from microgpt_core.errors import CaptureError, UnknownNameError


class Reference(Backend):
    """Pure Python on the standard library: the ops themselves are its kernels, so it runs every op."""

    name = "reference"


@dataclass
class Choice:
    """Who won a call, and why the backends asked before could not have it."""

    backend: Backend
    kernel: Kernel | Op
    refusals: list[str] = field(default_factory=list)

    @property
    def sets(self) -> tuple[str, ...]:
        return self.kernel.sets if isinstance(self.kernel, Kernel) else ()


@dataclass
class Kernels:
    """The backends to ask, in order, and the kernels that there are. The reference always comes last.

    `forced` names a backend for single ops: `{"attention": "reference"}`.
    """

    backends: Sequence[Backend] = ()
    table: Mapping[str, Kernel] = field(default_factory=dict)  # "backend/op" -> kernel
    forced: Mapping[str, str] = field(default_factory=dict)

    def choose(self, call: Call) -> Choice:
        """The first backend that has a kernel for this call, as its shapes and formats are."""
        refusals: list[str] = []
        values = {n: v for n, v in call.arguments.items() if v is not None}
        shapes, formats = {n: v.shape for n, v in values.items()}, {n: v.format for n, v in values.items()}
        for backend in self._candidates(call.op.name):
            if isinstance(backend, Reference):
                return Choice(backend, call.op, refusals)
            kernel = self.table.get(f"{backend.name}/{call.op.name}")
            reason = "has no kernel" if kernel is None else kernel.supports(shapes, formats)
            if kernel is not None and reason is None:
                return Choice(backend, kernel, refusals)
            refusals.append(f"{backend.name}: {reason}")
        raise UnknownNameError("backend", self.forced[call.op.name], [b.name for b in self.backends] + ["reference"])

    def _candidates(self, op: str) -> list[Backend]:
        backends = [b for b in self.backends if not isinstance(b, Reference)] + [Reference()]
        return [b for b in backends if b.name == self.forced[op]] if op in self.forced else backends

    def prepare(
        self, call: Call, choice: Choice | None = None, sets: frozenset[str] = frozenset()
    ) -> Callable[[], None]:
        """The call bound to its buffers: to be called many times, making nothing anew."""
        choice = choice or self.choose(call)
        views = []
        for name, value in call.arguments.items():
            if value is not None and value.data is None:
                raise CaptureError(f"{call}: {name} has no memory yet; allocate the model's parameters first")
            views.append(None if value is None else choice.backend.view(value.data))  # type: ignore[arg-type]
        forward = call.method == "forward"
        taken = call.op.signature.forward_attributes if forward else call.op.signature.backward_attributes
        keywords = {n: call.attributes[n] for n in taken}
        if choice.sets and not forward:
            keywords["sets"] = sets
        return partial(getattr(choice.kernel, call.method), *views, **keywords)


REFERENCE = Kernels()
