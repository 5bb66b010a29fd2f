"""The kinds of components: what a pack can bring, and the base class of each."""

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

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
    Transform,
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
    "transforms": Transform, "optimizers": Optimizer, "schedules": Schedule, "models": None, "analyzers": Analyzer,
    "callbacks": Callback, "formats": Format, "stages": None, "passes": Pass, "peers": Peer,
}  # fmt: skip
# What a field may be.
HELD = ("tokenizers", "datasets", "transforms", "optimizers", "schedules", "analyzers", "callbacks")
KINDS = {name: Kind(name, base) for name, base in BASES.items()}


class Held(NamedTuple):
    """What a field holds that is for components: one of a kind, or a list of them."""

    kind: Kind
    several: bool
    optional: bool  # whether it may be None instead

    def __str__(self) -> str:
        article = "an" if self.kind.one[0] in "aeiou" else "a"
        what = f"a list of {self.kind.name}" if self.several else f"{article} {self.kind.one}"
        return f"{what} or null" if self.optional else what


def held(annotation: Any) -> Held | None:
    """What a field of this type holds: of `Optimizer` an optimizer, of `list[Dataset]` datasets, of `int` nothing.

    Only kinds whose components have fields of their own: an op is named by the slot that it fills.
    """
    optional = get_origin(annotation) in (Union, UnionType) and NoneType in get_args(annotation)
    if optional and len(get_args(annotation)) == 2:
        (annotation,) = (branch for branch in get_args(annotation) if branch is not NoneType)
    several = get_origin(annotation) is list
    base = get_args(annotation)[0] if several else annotation
    kind = next((kind for kind in KINDS.values() if kind.base is base and kind.name in HELD), None)
    return Held(kind, several, optional) if kind and base else None


def kind_named(name: str) -> Kind:
    """The kind called `ops`, or `op`. Raises UnknownNameError."""
    for kind in KINDS.values():
        if name in (kind.name, kind.one):
            return kind
    raise UnknownNameError("kind", name, KINDS)
