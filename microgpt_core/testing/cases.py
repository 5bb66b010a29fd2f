"""A case: an op with numbers to run it on, again and again, each time on copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod
from operator import mul
from random import Random
from typing import Any, TypeAlias

from microgpt_core.components import Buffer, Op, Shape, flat, new_buffer, write
from microgpt_core.components.signature import REQUIRED
from microgpt_core.engine.tensor import tensor
from microgpt_core.errors import SignatureError, nearest

Given: TypeAlias = "Shape | list[Any] | tuple[Shape, range]"  # random numbers, these numbers, or integers of a range
Buffers: TypeAlias = "dict[str, Buffer | None]"


@dataclass(frozen=True)
class Run:
    """One call's buffers by parameter name: as they were, and as the call left them."""

    before: Buffers
    after: Buffers

    @property
    def changed(self) -> set[str]:
        return {n for n in self.after if bits(self.before[n]) != bits(self.after[n])}


@dataclass(frozen=True)
class Case:
    """An op, and numbers to run it on. Runs work on copies; two inputs that are one buffer stay one."""

    op: Op
    inputs: Buffers
    attributes: Mapping[str, Any]

    def forward(self, held: float = 0.0) -> Run:
        """Run forward; what it makes held `held` before."""
        signature, arguments = self.op.signature, copies(self.inputs)
        floats = [b.format for n, b in self.inputs.items() if b is not None and n not in self.op.integers]
        shapes = self.op.shapes(*(None if b is None else b.shape for b in arguments.values()), **self.attributes)
        for name in signature.produced:
            shape = shapes[name]
            if shape and isinstance(shape[0], str):
                arguments[name] = filled(shape[1], shape[0], held)
            else:
                arguments[name] = filled(shape, floats[0] if floats else "f", held)
        return self._run(self.op.forward, signature.forward, signature.forward_attributes, arguments)

    def backward(self, wanted: Iterable[str], held: float = 0.0) -> Run:
        """Run backward after a forward; the gradients of the inputs in `wanted` held `held` before."""
        signature, arguments = self.op.signature, self.forward().after
        gradients: dict[int, Buffer] = {}  # of each buffer: one that is two inputs has one gradient
        for name in signature.inputs:
            x = arguments[name]
            if x is not None and name in wanted:
                arguments[f"d_{name}"] = gradients.setdefault(id(x), filled(x.shape, x.format, held))
            else:
                arguments[f"d_{name}"] = None
        arguments |= self.weights(arguments)
        return self._run(self.op.backward, signature.backward, signature.backward_attributes, arguments)

    def _run(self, method: Callable[..., None], names: Iterable[str], attributes: Iterable[str], held: Buffers) -> Run:
        before = copies(held)
        method(*(held[n] for n in names), **{n: self.attributes[n] for n in attributes})
        return Run(before, held)

    def weights(self, arguments: Buffers) -> Buffers:
        """The outputs' gradients, random but always the same: the loss is the sum of weight * output."""
        rng, outputs = Random("weights"), {n: arguments[n] for n in self.op.signature.outputs}
        return {f"d_{n}": drawn(out.shape, out.format, rng) for n, out in outputs.items() if out is not None}

    def loss(self) -> float:
        arguments = self.forward().after
        return sum(sum(map(mul, numbers(w), numbers(arguments[n[2:]]))) for n, w in self.weights(arguments).items())

    @property
    def differentiable(self) -> list[str]:
        """The given inputs that backward has a gradient for."""
        return [n for n, b in self.inputs.items() if b is not None and n in self.op.signature.gradients]


def make_case(
    op: Op, given: Mapping[str, Given], attributes: Mapping[str, Any] | None = None, format: str = "d", seed: int = 0
) -> Case:
    """An op's case from what is given for its inputs. Optional inputs that aren't given are None."""
    signature, rng = op.signature, Random(seed)
    settings = {n: d for n, d in signature.attributes.items() if d is not REQUIRED} | dict(attributes or {})
    for kind, allowed, found in (("input", signature.inputs, given), ("attribute", signature.attributes, settings)):
        for name in found:
            if name not in allowed:
                raise SignatureError(f"{op!r} has no {kind} {name!r}{nearest(name, allowed)}")
    missing = [n for n in signature.inputs if n not in given and n not in signature.optional]
    missing += [n for n in signature.attributes if n not in settings]
    if missing:
        raise SignatureError(f"{op!r}: say what {', '.join(missing)} is; for example shapes={{'x': (3, 5)}}")
    inputs = {n: input_buffer(op, n, given[n], format, rng) if n in given else None for n in signature.inputs}
    return Case(op, inputs, settings)


def input_buffer(op: Op, name: str, given: Given, format: str, rng: Random) -> Buffer:
    """One input: random in a shape, the numbers of a list, or integers drawn from a range."""
    if isinstance(given, list):
        return tensor(given, "int32" if name in op.integers else "float64" if format == "d" else "float32").data
    if len(given) == 2 and isinstance(given[1], range):
        buffer = new_buffer(given[0], "i")
        write(buffer, Random(rng.random()).choices(given[1], k=buffer.nbytes // buffer.itemsize))
        return buffer
    if name in op.integers:
        raise SignatureError(f"{op!r}: {name} holds integers; give a list of them, or (shape, range(n))")
    return drawn(given, format, rng)


def drawn(shape: Shape, format: str, rng: Random) -> Buffer:
    """Random numbers around zero."""
    buffer = new_buffer(shape, format)
    write(buffer, [rng.gauss(0.0, 1.5) for _ in range(prod(shape))])
    return buffer


def filled(shape: Shape, format: str, value: float) -> Buffer:
    """A buffer full of one number; an integer one has -7 for NaN."""
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


def bits(buffer: Buffer | None) -> bytes | None:
    return None if buffer is None else buffer.tobytes()


def numbers(buffer: Buffer | None) -> list[float]:
    return [] if buffer is None else flat(buffer).tolist()


def numbered(buffer: Buffer | None, at: int, value: float) -> Buffer | None:
    """A copy with one number replaced."""
    copy = copies({"x": buffer})["x"]
    if copy is not None:
        flat(copy)[at] = value
    return copy
