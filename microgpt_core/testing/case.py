"""A case: an op and numbers to run it on, by the op itself or by a kernel. What it promises is tried elsewhere."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import prod
from operator import mul
from random import Random
from typing import Any, TypeAlias

from microgpt_core.components import Buffer, Kernel, Op, Shape, flat, new_buffer, write
from microgpt_core.components.buffer import DTYPES
from microgpt_core.components.signature import REQUIRED
from microgpt_core.engine.backends import REFERENCE, Kernels
from microgpt_core.engine.tensor import tensor
from microgpt_core.engine.value import Call, Value
from microgpt_core.errors import SignatureError, nearest
from microgpt_core.testing.red_zones import WRITES, Guarded, guard

Given: TypeAlias = "Shape | list[Any] | tuple[Shape, range]"  # random numbers, these numbers, integers of a range
Buffers: TypeAlias = "dict[str, Buffer | None]"
WORKSPACE = "its workspace"
MANY = 9973  # random numbers: a prime, so that they come in another column of each row


@dataclass(frozen=True)
class Run:
    """One call's buffers by parameter name: as they were, and as the call left them."""

    before: Buffers
    after: Buffers
    spilled: tuple[str, ...]  # where something was written beside them

    def changed(self) -> set[str]:
        return {n for n in self.after if bits(self.before[n]) != bits(self.after[n])}


@dataclass(frozen=True)
class Bound:
    """A call bound to buffers of its own, as a plan has it: to be run many times."""

    guarded: Guarded
    runner: Op | Kernel
    run: Callable[[], object]

    @property
    def buffers(self) -> Buffers:
        return self.guarded.buffers

    def once(self) -> Run:
        before = copies(self.buffers)
        self.run()
        return Run(before, self.buffers, tuple(self.guarded.spilled()))


@dataclass(frozen=True)
class Case:
    """An op on certain inputs. Every run works on copies; two inputs that are one buffer stay one."""

    op: Op
    inputs: Buffers
    attributes: Mapping[str, Any]
    kernels: Kernels = field(default_factory=lambda: REFERENCE)  # who runs it
    shift: int = 0  # numbers from an aligned address to the start of each buffer
    fill: int = WRITES  # what lies around the buffers
    unsigned: bool = False  # whether the outputs' gradients are all positive

    @property
    def differentiable(self) -> list[str]:
        """The given inputs that backward has a gradient for."""
        return [n for n, b in self.inputs.items() if b is not None and n in self.op.signature.gradients]

    @property
    def format(self) -> str:
        """The inputs' common float format."""
        formats = [b.format for n, b in self.inputs.items() if b is not None and n not in self.op.integers]
        return formats[0] if formats else "f"

    @property
    def nbytes(self) -> int:
        return sum(b.nbytes for b in self.inputs.values() if b is not None)

    @property
    def methods(self) -> list[str]:
        return ["forward", "backward"] if self.differentiable else ["forward"]

    def written(self, method: str) -> list[str]:
        """What a method makes, or changes in place."""
        if method == "backward":
            return [f"d_{n}" for n in self.differentiable]
        return [*self.op.signature.produced, *(n for n in self.op.mutates if self.inputs[n] is not None)]

    def bind(self, method: str, held: float = 0.0, sets: Collection[str] = ()) -> Bound:
        """A method as a rule tries it: backward with every gradient that there is."""
        if method == "forward":
            return self.bind_forward(held, sets)
        return self.bind_backward(self.differentiable, held, sets)

    def bind_forward(self, held: float = 0.0, sets: Collection[str] = ()) -> Bound:
        """Forward, ready to run; what it makes holds `held`."""
        arguments = dict(self.inputs)
        shapes = self.op.shapes(*(None if b is None else b.shape for b in arguments.values()), **self.attributes)
        for name in self.op.signature.produced:
            first, *rest = shapes[name]
            if isinstance(first, str):
                arguments[name] = filled(rest[0], first, held)  # type: ignore[arg-type]
            else:
                arguments[name] = filled((first, *rest), self.format, held)
        return self._bind("forward", arguments, sets)

    def bind_backward(self, wanted: Collection[str], held: float = 0.0, sets: Collection[str] = ()) -> Bound:
        """Backward after forward has run; the gradients of the inputs `wanted` hold `held`."""
        arguments = self.forward().after
        made: dict[int, Buffer] = {}  # one gradient for a buffer that is two inputs
        for name in self.op.signature.inputs:
            x = arguments[name]
            if x is None or name not in wanted:
                arguments[f"d_{name}"] = None
            else:
                arguments[f"d_{name}"] = made.setdefault(id(x), filled(x.shape, x.format, held))
        arguments |= self.weights(arguments)
        return self._bind("backward", arguments, sets)

    def forward(self, held: float = 0.0) -> Run:
        return self.bind_forward(held).once()

    def backward(self, wanted: Collection[str], held: float = 0.0, sets: Collection[str] = ()) -> Run:
        return self.bind_backward(wanted, held, sets).once()

    def _bind(self, method: str, arguments: Buffers, sets: Collection[str] = ()) -> Bound:
        signature = self.op.signature
        names = signature.forward if method == "forward" else signature.backward
        values = {n: None if (b := arguments[n]) is None else Value(b.shape, b.format) for n in names}
        shapes = tuple(None if b is None else b.shape for b in self.inputs.values())
        call = Call(self.op, method, values, self.attributes, inputs=shapes)
        choice = self.kernels.choose(call)
        scratch = new_buffer((max(1, choice.scratch(call)),), "B")
        scratch[:] = bytes([self.fill]) * scratch.nbytes
        guarded = guard({**arguments, WORKSPACE: scratch}, self.fill, self.shift)
        lent = guarded.buffers.pop(WORKSPACE)
        run = choice.bind(call, [guarded.buffers[n] for n in names], frozenset(sets), lent)
        return Bound(guarded, choice.kernel, run)

    def runner(self, method: str) -> Op | Kernel:
        """Who runs a method on these shapes."""
        return self.bind(method).runner

    def weights(self, arguments: Buffers) -> dict[str, Buffer]:
        """The outputs' gradients, random but always the same ones. The loss is the sum of weight * output.

        Integers have no gradient.
        """
        found = {f"d_{n}": arguments[n] for n in self.op.signature.outputs}
        outputs = {n: b for n, b in found.items() if b is not None and b.format != "i"}
        made = dict(zip(outputs, always_drawn(*((b.shape, b.format) for b in outputs.values()))))
        return {n: mapped(abs, b) if self.unsigned else b for n, b in made.items()}

    def loss(self) -> float:
        bound = self.bind_forward()
        bound.run()
        weights = self.weights(bound.buffers)
        return sum(sum(map(mul, numbers(w), numbers(bound.buffers[n.removeprefix("d_")]))) for n, w in weights.items())

    def with_floats(self, change: Callable[[float], float], format: str | None = None, **others: Any) -> Case:
        """The same case with every float input's numbers changed."""
        inputs = {
            n: b if b is None or n in self.op.integers else mapped(change, b, format) for n, b in self.inputs.items()
        }
        return replace(self, inputs=inputs, **others)

    def exact(self) -> Case:
        """The same numbers in float64, on the reference; in float32 where the op rounds them on purpose."""
        return replace(self, kernels=REFERENCE) if self.op.rounds else self.unrounded()

    def unrounded(self) -> Case:
        """The same numbers in float64, on the reference."""
        return self.with_floats(float, "d", kernels=REFERENCE)

    @property
    def tolerance(self) -> float:
        """How far a kernel may be off, as a share of what its numbers are measured by."""
        return self.op.tolerance if self.format == "f" else 1e-12


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
    """A buffer of random numbers around zero, the same ones in float32 and float64. A large one repeats them."""
    buffer, n = new_buffer(shape, format), prod(shape)
    found = array("f", [rng.gauss(0.0, 1.5) for _ in range(min(n, MANY))])
    write(buffer, (found * (n // MANY + 1))[:n])
    return buffer


@lru_cache(64)
def always_drawn(*buffers: tuple[Shape, str]) -> list[Buffer]:
    """The same random numbers for the same shapes and formats: drawn once, as it takes long; nobody writes to them."""
    rng = Random("weights")
    return [drawn(shape, format, rng) for shape, format in buffers]


def filled(shape: Shape, format: str, value: float) -> Buffer:
    """A buffer full of one number. An integer one holds -7 for NaN."""
    buffer = new_buffer(shape, format)
    write(buffer, [value if format != "i" else int(value) if value == value else -7] * prod(shape))
    return buffer


def mapped(change: Callable[[float], float], buffer: Buffer, format: str | None = None) -> Buffer:
    """A new buffer of the changed numbers."""
    result = new_buffer(buffer.shape, format or buffer.format)
    write(result, list(map(change, flat(buffer))))
    return result


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
