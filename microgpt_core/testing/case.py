"""A case: an op and numbers to run it on, outside of any tape or plan. What it promises is tried elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from math import prod
from operator import mul
from random import Random
from typing import Any, TypeAlias

from microgpt_core.components import Buffer, Op, Shape, flat, new_buffer, write
from microgpt_core.components.buffer import DTYPES
from microgpt_core.components.signature import REQUIRED
from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import SignatureError, nearest

Given: TypeAlias = "Shape | list[Any] | tuple[Shape, range]"  # random numbers, these numbers, integers of a range
Buffers: TypeAlias = "dict[str, Buffer | None]"


@dataclass(frozen=True)
class Run:
    """One call's buffers by parameter name: as they were, and as the call left them."""

    before: Buffers
    after: Buffers

    def changed(self) -> set[str]:
        return {n for n in self.after if bits(self.before[n]) != bits(self.after[n])}


@dataclass(frozen=True)
class Case:
    """An op on certain inputs. Every run works on copies; two inputs that are one buffer stay one."""

    op: Op
    inputs: Buffers
    attributes: Mapping[str, Any]

    @property
    def differentiable(self) -> list[str]:
        """The given inputs that backward has a gradient for."""
        return [n for n, b in self.inputs.items() if b is not None and n in self.op.signature.gradients]

    def forward(self, held: float = 0.0) -> Run:
        """Run forward; what it makes held `held` before."""
        signature, arguments = self.op.signature, copies(self.inputs)
        formats = [b.format for n, b in arguments.items() if b is not None and n not in self.op.integers]
        shapes = self.op.shapes(*(None if b is None else b.shape for b in arguments.values()), **self.attributes)
        for name in signature.produced:
            first, *rest = shapes[name]
            if isinstance(first, str):
                arguments[name] = filled(rest[0], first, held)  # type: ignore[arg-type]
            else:
                arguments[name] = filled((first, *rest), formats[0] if formats else "f", held)
        return self._run(self.op.forward, signature.forward, signature.forward_attributes, arguments)

    def backward(self, wanted: Collection[str], held: float = 0.0) -> Run:
        """Run forward, then backward; the gradients of the inputs `wanted` held `held` before."""
        signature, arguments = self.op.signature, self.forward().after
        made: dict[int, Buffer] = {}  # one gradient for a buffer that is two inputs
        for name in signature.inputs:
            x = arguments[name]
            if x is None or name not in wanted:
                arguments[f"d_{name}"] = None
            else:
                arguments[f"d_{name}"] = made.setdefault(id(x), filled(x.shape, x.format, held))
        arguments |= self.weights(arguments)
        return self._run(self.op.backward, signature.backward, signature.backward_attributes, arguments)

    def _run(
        self, method: Callable[..., None], names: Collection[str], settings: Collection[str], arguments: Buffers
    ) -> Run:
        before = copies(arguments)
        method(*(arguments[n] for n in names), **{n: self.attributes[n] for n in settings})
        return Run(before, arguments)

    def weights(self, arguments: Buffers) -> dict[str, Buffer]:
        """The outputs' gradients, random but always the same ones. The loss is the sum of weight * output."""
        rng, outputs = Random("weights"), {n: arguments[n] for n in self.op.signature.outputs}
        return {f"d_{n}": drawn(b.shape, b.format, rng) for n, b in outputs.items() if b is not None}

    def loss(self) -> float:
        arguments = self.forward().after
        weights = self.weights(arguments)
        return sum(sum(map(mul, numbers(w), numbers(arguments[n.removeprefix("d_")]))) for n, w in weights.items())


def make_case(
    op: Op, given: Mapping[str, Given], attributes: Mapping[str, Any] | None = None, format: str = "d", seed: int = 0
) -> Case:
    """An op's case from what is given for its inputs. An optional input that isn't given is None.

    Raises SignatureError for names that the op doesn't have, and for those that are missing.
    """
    signature, rng = op.signature, Random(seed)
    settings = {n: d for n, d in signature.attributes.items() if d is not REQUIRED} | dict(attributes or {})
    for name in given:
        if name not in signature.inputs:
            raise SignatureError(f"{op!r} has no input {name!r}{nearest(name, signature.inputs)}")
    for name in settings:
        if name not in signature.attributes:
            raise SignatureError(f"{op!r} has no attribute {name!r}{nearest(name, signature.attributes)}")
    if missing := [n for n in signature.inputs if n not in given and n not in signature.optional]:
        example = ", ".join(f"{n!r}: (3, 5)" for n in missing)
        raise SignatureError(f"{op!r}: say how large {' and '.join(missing)} should be: shapes={{{example}}}")
    if missing := [n for n in signature.attributes if n not in settings]:
        raise SignatureError(f"{op!r}: say what {' and '.join(missing)} should be: attributes={{{missing[0]!r}: ...}}")
    inputs = {n: input_buffer(op, n, given[n], format, rng) if n in given else None for n in signature.inputs}
    return Case(op, inputs, settings)


def input_buffer(op: Op, name: str, given: Given, format: str, rng: Random) -> Buffer:
    """One input: random in a shape, the numbers of a list, or integers of a range."""
    integer = name in op.integers
    if isinstance(given, list):
        return tensor(given, "int32" if integer else DTYPES[format]).data
    if isinstance(given[-1], range):
        buffer = new_buffer(given[0], "i")
        write(buffer, rng.choices(given[-1], k=len(flat(buffer))))
        return buffer
    if integer:
        raise SignatureError(f"{op!r}: {name} holds integers; give a list of them, or (shape, range(n))")
    return drawn(given, format, rng)


def drawn(shape: Shape, format: str, rng: Random) -> Buffer:
    """A buffer of random numbers around zero."""
    buffer = new_buffer(shape, format)
    write(buffer, [rng.gauss(0.0, 1.5) for _ in range(prod(shape))])
    return buffer


def filled(shape: Shape, format: str, value: float) -> Buffer:
    """A buffer full of one number. An integer one holds -7 for NaN."""
    buffer = new_buffer(shape, format)
    write(buffer, [value if format != "i" else int(value) if value == value else -7] * prod(shape))
    return buffer


def copies(buffers: Buffers) -> Buffers:
    """Copies of buffers; what was one buffer under two names is one again."""
    made: dict[int, Buffer] = {}
    for b in buffers.values():
        if b is not None and id(b) not in made:
            made[id(b)] = new_buffer(b.shape, b.format)
            made[id(b)].cast("B")[:] = b.cast("B")
    return {n: None if b is None else made[id(b)] for n, b in buffers.items()}


def bits(buffer: Buffer | None) -> bytes:
    return b"" if buffer is None else buffer.tobytes()


def numbers(buffer: Buffer | None) -> list[float]:
    return [] if buffer is None else flat(buffer).tolist()
