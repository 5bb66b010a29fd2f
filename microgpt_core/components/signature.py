"""An op's signature, read from its methods once, when the class is defined."""

import inspect
from collections.abc import Mapping
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
    optional = frozenset(n for n, default in defaults.items() if default is None)
    produced = tuple(n for n in forward if n not in inputs)

    for n in inputs:
        if n.startswith("d_"):
            raise SignatureError(f"{cls.__name__}.shapes: input {n!r} may not start with d_, the sign of a gradient")
        if n not in forward:
            raise SignatureError(f"{cls.__name__}.forward lacks the input {n!r}{nearest(n, produced)}")
    if forward != produced + inputs:
        raise SignatureError(
            f"{cls.__name__}.forward{show(forward)}: expected outputs, saved values, then {show(inputs)}"
        )
    for n in cls.mutates + cls.integers:
        if n not in inputs:
            raise SignatureError(f"{cls.__name__}: {n!r} in mutates or integers is no input{nearest(n, inputs)}")
    values = produced + inputs
    for n in backward:
        if n not in values and not (n.startswith("d_") and n[2:] in values):
            known = values + tuple(f"d_{v}" for v in values)
            raise SignatureError(f"{cls.__name__}.backward: {n!r} fits nothing{nearest(n, known)}")
    for method, used in (("forward", forward_attributes), ("backward", backward_attributes)):
        for n in used:
            if n not in attributes:
                raise SignatureError(
                    f"{cls.__name__}.{method}: attribute {n!r} isn't in shapes{nearest(n, attributes)}"
                )
    outputs = tuple(n for n in produced if not backward or f"d_{n}" in backward)
    if backward and not outputs:
        raise SignatureError(f"{cls.__name__}.backward reads no d_<output>, so it can't depend on the loss")
    return Signature(
        inputs, optional, attributes, outputs, tuple(n for n in produced if n not in outputs),
        forward, backward, tuple(forward_attributes), tuple(backward_attributes),
    )  # fmt: skip


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


def show(names: tuple[str, ...]) -> str:
    return f"({', '.join(names)})"
