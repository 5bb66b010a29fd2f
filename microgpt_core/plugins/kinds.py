"""The kinds of components: what a pack can bring, and the base class of each."""

from dataclasses import dataclass
from typing import Any

from microgpt_core.components import (
    Analyzer,
    Backend,
    Callback,
    Dataset,
    Format,
    Kernel,
    Op,
    Optimizer,
    Pass,
    Peer,
    Schedule,
    Tokenizer,
)
from microgpt_core.errors import UnknownNameError


@dataclass(frozen=True)
class Kind:
    """One kind: its hook is `microgpt_<name>`."""

    name: str  # "ops"
    base: type | None  # None: whatever can be called

    @property
    def one(self) -> str:
        return self.name.removesuffix("es" if self.name.endswith("sses") else "s")

    def mismatch(self, target: Any) -> str | None:
        """What is wrong with `target` as a component of this kind; None where nothing is."""
        if self.base is None:
            return None if callable(target) else f"expected a class or a function, found {target!r}"
        if isinstance(target, type) and issubclass(target, self.base) or self.name == "ops" and isinstance(target, Op):
            return None
        return f"expected a subclass of {self.base.__name__}, found {target!r}"


BASES: dict[str, type | None] = {
    "ops": Op, "kernels": Kernel, "backends": Backend, "tokenizers": Tokenizer, "datasets": Dataset,
    "optimizers": Optimizer, "schedules": Schedule, "models": None, "analyzers": Analyzer, "callbacks": Callback,
    "formats": Format, "stages": None, "passes": Pass, "peers": Peer,
}  # fmt: skip
KINDS = {name: Kind(name, base) for name, base in BASES.items()}


def kind_named(name: str) -> Kind:
    """The kind called `ops`, or `op`. Raises UnknownNameError."""
    for kind in KINDS.values():
        if name in (kind.name, kind.one):
            return kind
    raise UnknownNameError("kind", name, KINDS)
