"""The kinds of components: what a pack can bring, and the base class of each."""

from dataclasses import dataclass
from typing import Any

from microgpt_core.components import Analyzer, Backend, Dataset, Kernel, Op, Optimizer, Schedule, Tokenizer
from microgpt_core.errors import UnknownNameError


@dataclass(frozen=True)
class Kind:
    """One kind: its hook is `microgpt_<name>`."""

    name: str  # "ops"
    one: str  # "op"
    base: type | None  # None: whatever can be called

    def mismatch(self, target: Any) -> str | None:
        """What is wrong with `target` as a component of this kind; None where nothing is."""
        if self.base is None:
            return None if callable(target) else f"expected a class or a function, found {target!r}"
        if isinstance(target, type) and issubclass(target, self.base) or self.name == "ops" and isinstance(target, Op):
            return None
        return f"expected a subclass of {self.base.__name__}, found {target!r}"


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("ops", "op", Op),
        Kind("kernels", "kernel", Kernel),
        Kind("backends", "backend", Backend),
        Kind("tokenizers", "tokenizer", Tokenizer),
        Kind("datasets", "dataset", Dataset),
        Kind("optimizers", "optimizer", Optimizer),
        Kind("schedules", "schedule", Schedule),
        Kind("models", "model", None),
        Kind("analyzers", "analyzer", Analyzer),
        Kind("formats", "format", None),
        Kind("stages", "stage", None),
    )
}


def kind_named(name: str) -> Kind:
    """The kind called `ops`, or `op`. Raises UnknownNameError."""
    for kind in KINDS.values():
        if name in (kind.name, kind.one):
            return kind
    raise UnknownNameError("kind", name, KINDS)
