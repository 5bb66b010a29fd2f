"""An op's signature, read from its methods once, when the class is defined."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from microgpt_core.errors import SignatureError, nearest

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Signature:
    """What an op's method signatures say, read once."""

    inputs: tuple[str, ...]
    optional: frozenset[str]  # inputs that may be None
    attributes: Mapping[str, Any]  # name -> default, or REQUIRED
    outputs: tuple[str, ...]
    saved: tuple[str, ...]
    forward: tuple[str, ...]  # the positional parameters of `forward`, in order
    backward: tuple[str, ...]  # of `backward`; () where the op has none
    forward_attributes: tuple[str, ...]
    backward_attributes: tuple[str, ...]

    @property
    def produced(self) -> tuple[str, ...]:
        return self.outputs + self.saved

    @property
    def gradients(self) -> frozenset[str]:
        """The inputs that backward has a gradient for."""
        return frozenset(n for n in self.inputs if f"d_{n}" in self.backward)

    def __str__(self) -> str:
        inputs = [f"{n}?" if n in self.optional else n for n in self.inputs]
        keywords = [n if d is REQUIRED else f"{n}={d}" for n, d in self.attributes.items()]
        return f"({', '.join(inputs + (['*'] + keywords if keywords else []))})"


def read_signature(cls: Any, has_backward: bool) -> Signature:
    """The contract that a class's methods spell out. Raises SignatureError where they contradict."""
    inputs, attributes, defaults = parameters(cls, "shapes")
    forward, forward_attributes, _ = parameters(cls, "forward")
    backward, backward_attributes, _ = parameters(cls, "backward") if has_backward else ((), {}, {})
    produced = tuple(n for n in forward if n not in inputs)
    values = produced + inputs
    check_forward(cls.__name__, forward, inputs, produced)
    check_names(f"{cls.__name__}: mutates or integers", cls.mutates + cls.integers, inputs)
    check_names(f"{cls.__name__}.backward", backward, values + tuple(f"d_{v}" for v in values))
    check_names(f"{cls.__name__}.forward: attribute", forward_attributes, attributes)
    check_names(f"{cls.__name__}.backward: attribute", backward_attributes, attributes)
    outputs = tuple(n for n in produced if not backward or f"d_{n}" in backward)
    if backward and not outputs:
        raise SignatureError(f"{cls.__name__}.backward reads no d_<output>, so it can't depend on the loss")
    return Signature(
        inputs=inputs,
        optional=frozenset(n for n, default in defaults.items() if default is None),
        attributes=attributes,
        outputs=outputs,
        saved=tuple(n for n in produced if n not in outputs),
        forward=forward,
        backward=backward,
        forward_attributes=tuple(forward_attributes),
        backward_attributes=tuple(backward_attributes),
    )


def check_forward(name: str, forward: Sequence[str], inputs: Sequence[str], produced: Sequence[str]) -> None:
    """Forward names what it makes, then every input in the order of shapes."""
    for n in inputs:
        if n.startswith("d_"):
            raise SignatureError(f"{name}.shapes: input {n!r} may not start with d_, the sign of a gradient")
        if n not in forward:
            raise SignatureError(f"{name}.forward lacks the input {n!r}{nearest(n, produced)}")
    if forward != (*produced, *inputs):
        raise SignatureError(f"{name}.forward{show(forward)}: expected outputs, saved values, then {show(inputs)}")


def check_names(place: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Every name is one of those that `shapes` and `forward` introduced."""
    known = list(known)
    for n in names:
        if n not in known:
            raise SignatureError(f"{place}: {n!r} fits nothing{nearest(n, known)}; known: {', '.join(known)}")


def parameters(cls: type, method: str) -> tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]:
    """The positional names of a method, its keyword-only ones with defaults, and the positional defaults."""
    found = list(inspect.signature(getattr(cls, method)).parameters.values())[1:]
    for p in found:
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise SignatureError(f"{cls.__name__}.{method}: {p} hides the names; spell every parameter out")
    positional = tuple(p.name for p in found if p.kind is not p.KEYWORD_ONLY)
    keywords = {p.name: p.default for p in found if p.kind is p.KEYWORD_ONLY}
    defaults = {p.name: p.default for p in found if p.kind is not p.KEYWORD_ONLY and p.default is not REQUIRED}
    return positional, keywords, defaults


def show(names: Sequence[str]) -> str:
    return f"({', '.join(names)})"
