"""Tensor: a buffer, its gradient, and the call that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from microgpt_core import ops
from microgpt_core.components.buffer import DTYPES, Buffer, Shape, flat, new_buffer, write
from microgpt_core.components.op import Op, show_shape
from microgpt_core.components.signature import REQUIRED
from microgpt_core.engine.context import capturing, context, new_value, perform
from microgpt_core.engine.numbers import ALLOWED, from_buffer, from_lists, show_numbers
from microgpt_core.engine.value import Call, Value
from microgpt_core.errors import CaptureError, ShapeError, SignatureError, nearest


@dataclass(slots=True, eq=False)
class Node:
    """What the tape remembers of one call: where its inputs came from, and its outputs' gradients so far."""

    call: Call
    parents: tuple[Tensor | None, ...]  # one for each input of the op
    outputs: list[Value]
    gradients: list[Value | None]  # one for each output, made when first needed


class Tensor:
    """Numbers in a shape, whose history `backward()` can walk back. Make one with `mg.tensor`."""

    __slots__ = ("value", "requires_grad", "node", "index", "_gradient", "__weakref__")

    def __init__(self, value: Value, requires_grad: bool = False, node: Node | None = None, index: int = 0) -> None:
        self.value, self.requires_grad, self.node, self.index = value, requires_grad, node, index
        self._gradient: Value | None = None

    @property
    def shape(self) -> Shape:
        return self.value.shape

    @property
    def dtype(self) -> str:
        return DTYPES[self.value.format]

    @property
    def data(self) -> Buffer:
        """The buffer. Raises CaptureError in a capture, where there are only shapes."""
        return self.value.buffer()

    @property
    def gradient(self) -> Value | None:
        """Where this tensor's gradient accumulates; None before the first backward."""
        return self._gradient if self.node is None else self.node.gradients[self.index]

    @property
    def grad(self) -> Tensor | None:
        """The gradient of the last backward's loss; a leaf adds up those of several backwards."""
        return None if self.gradient is None else Tensor(self.gradient)

    def gradient_value(self) -> Value:
        """The gradient, made of zeros at its first use. A leaf's lives as long as the leaf."""
        if self.gradient is not None:
            return self.gradient
        if self.node is not None:
            gradient = new_value(self.shape, self.value.format, gradient_of=self.value)
            self.node.gradients[self.index] = gradient
        else:
            leaf = self.value
            gradient = self._gradient = Value(leaf.shape, leaf.format, persistent=leaf.persistent, gradient_of=leaf)
            if leaf.persistent and leaf.data is not None:
                gradient.allocate()
        return gradient

    def zero_grad(self) -> None:
        """Fill the gradient with zeros, if there is one. A plan's may come later, from its own first replay."""
        if self.gradient is not None or (capturing() and self.requires_grad):
            ops.zero(Tensor(self.gradient_value()))

    def backward(self) -> None:
        """Add d self / d x into the gradient of every x that this one-element tensor was computed from."""
        from microgpt_core.engine.tape import backward  # tape is made of tensors

        backward(self)

    def detach(self) -> Tensor:
        """The same numbers without a history."""
        return Tensor(self.value)

    def item(self) -> float:
        """The number in a one-element tensor."""
        if self.value.size != 1:
            raise ShapeError(f"item() takes a tensor of one element, this one has shape {show_shape(self.shape)}")
        self._refuse_in_capture("item()")
        number: float = flat(self.data)[0]
        return number

    def tolist(self) -> Any:
        """The numbers as nested lists."""
        self._refuse_in_capture("tolist()")
        return self.data.tolist()

    def _refuse_in_capture(self, what: str) -> None:
        if capturing():
            raise CaptureError(
                f"{what} of a tensor was asked for in a capture, where there are only shapes: a plan runs the same "
                "calls every time, so decide outside of it, or return the tensor and read it after the replay"
            )

    def run_op(self, op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
        """How `op(tensor, ...)` gets here: ops know nothing of tensors."""
        return call_op(op, inputs, attributes)

    def __add__(self, other: Any) -> Tensor:
        return compute(ops.add, self, operand(other, self))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Tensor:
        return compute(ops.sub, self, operand(other, self))

    def __rsub__(self, other: Any) -> Tensor:
        return compute(ops.sub, operand(other, self), self)

    def __mul__(self, other: Any) -> Tensor:
        if isinstance(other, (int, float)):
            return compute(ops.scale, self, factor=float(other))
        return compute(ops.mul, self, operand(other, self))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Tensor:
        if isinstance(other, (int, float)) and other:
            return compute(ops.scale, self, factor=1.0 / other)
        raise SignatureError(f"a tensor can be divided by a number that isn't 0, found {other!r}")

    def __neg__(self) -> Tensor:
        return compute(ops.scale, self, factor=-1.0)

    def __matmul__(self, other: Any) -> Tensor:
        return compute(ops.matmul, self, other)

    def __bool__(self) -> bool:
        self._refuse_in_capture("the truth")
        return bool(self.item())

    def __repr__(self) -> str:
        what = f"{self.dtype} {show_shape(self.shape)}"
        if self.value.data is None:
            return f"tensor({what}, no numbers yet)"
        return f"tensor({show_numbers(self.data.tolist())}, {what}{', requires_grad' if self.requires_grad else ''})"


def tensor(numbers: Any, dtype: str | None = None, requires_grad: bool = False, name: str = "") -> Tensor:
    """A tensor of the numbers in (nested) lists; a single number becomes one of shape (1,).

    `dtype` is float32 (what lists become without it), float64 or int32. An `array.array`, a memoryview, a NumPy
    array, or whatever else is a buffer is used as it is, without a copy and in its own format. Raises ShapeError
    for ragged or empty lists, and for numbers that aren't of the dtype. Tapes and plans show `name`.
    """
    if dtype is not None and dtype not in ALLOWED:
        raise ShapeError(f"unknown dtype {dtype!r}{nearest(dtype, ALLOWED)}; allowed: {', '.join(ALLOWED)}")
    data = from_buffer(numbers, dtype)
    if data is None:
        data = from_lists(numbers, dtype or "float32")
    if requires_grad and data.format == "i":
        raise ShapeError("a tensor of int32 can't have requires_grad: whole numbers have no slope")
    return Tensor(Value(data.shape, data.format, data, name, persistent=not capturing()), requires_grad)


def operand(other: Any, like: Tensor) -> Tensor:
    """The other side of an operator: a tensor, or a number spread over the shape of this one."""
    if isinstance(other, Tensor):
        return other
    if isinstance(other, (int, float)):
        spread = new_buffer(like.shape, like.value.format)
        write(spread, from_lists(other, like.dtype).tolist() * like.value.size)
        return tensor(spread)
    raise SignatureError(f"a tensor and {other!r} ({type(other).__name__}) don't combine; make it a tensor first")


def compute(op: Op, *inputs: Any, **attributes: Any) -> Tensor:
    """The result of an op that has one output."""
    result: Tensor = op(*inputs, **attributes)
    return result


def call_op(op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """Compute `op` (or write it down), and remember the call if a gradient may be wanted."""
    tensors, settings = bind(op, inputs, attributes)
    produced = make_produced(op, tensors, settings)
    taken = {n: None if t is None else t.value for n, t in tensors.items()}
    call = Call(op, "forward", {**produced, **taken}, settings, ".".join(context.scope))
    perform(call)
    outputs = [produced[n] for n in op.signature.outputs]
    node = None
    known = op.signature.backward
    if context.gradients and any(t is not None and t.requires_grad and f"d_{n}" in known for n, t in tensors.items()):
        node = Node(call, tuple(tensors.values()), outputs, [None] * len(outputs))
    results = tuple(Tensor(v, node is not None, node, i) for i, v in enumerate(outputs))
    return results[0] if len(results) == 1 else results or None


def bind(
    op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any]
) -> tuple[dict[str, Tensor | None], dict[str, Any]]:
    """Which tensor is which input and what the attributes are, defaults filled in. Raises SignatureError."""
    signature = op.signature
    if len(inputs) > len(signature.inputs):
        given_by_name = "; attributes are given by name" if signature.attributes else ""
        raise SignatureError(
            f"{op.name}{signature} takes {len(signature.inputs)} tensors, found {len(inputs)}{given_by_name}"
        )
    given = dict(zip(signature.inputs, inputs))
    settings = {n: d for n, d in signature.attributes.items() if d is not REQUIRED}
    for name, value in attributes.items():
        if name in given or name not in (*signature.inputs, *signature.attributes):
            known = (*signature.inputs, *signature.attributes)
            problem = "was given twice" if name in given else f"fits nothing{nearest(name, known)}"
            raise SignatureError(f"{op.name}{signature}: {name!r} {problem}")
        (given if name in signature.inputs else settings)[name] = value
    check_given(op, given)
    check_settings(op, settings)
    return {n: given.get(n) for n in signature.inputs}, {n: settings[n] for n in signature.attributes}


def check_given(op: Op, given: Mapping[str, Any]) -> None:
    """Every input is a Tensor, or may be left out."""
    for name in op.signature.inputs:
        value = given.get(name)
        if not (isinstance(value, Tensor) or (value is None and name in op.signature.optional)):
            found = f"{value!r} ({type(value).__name__})" if value is not None else "nothing"
            raise SignatureError(f"{op.name}{op.signature}: {name} must be a Tensor, found {found}")


def check_settings(op: Op, settings: Mapping[str, Any]) -> None:
    """Every attribute has a value, which is no Tensor: a plan would freeze it."""
    for name in op.signature.attributes:
        if name not in settings:
            raise SignatureError(f"{op.name}{op.signature}: the attribute {name} is missing")
        if isinstance(settings[name], Tensor):
            raise SignatureError(f"{op.name}{op.signature}: the attribute {name} must be fixed, found a Tensor")


def make_produced(op: Op, tensors: Mapping[str, Tensor | None], settings: Mapping[str, Any]) -> dict[str, Value]:
    """Outputs and saved values, in the shapes that the op says. Raises SignatureError where it says something else."""
    format = common_format(op, tensors)
    shapes: Mapping[str, Any] = op.shapes(*(None if t is None else t.shape for t in tensors.values()), **settings)
    if shapes.keys() != set(op.signature.produced):
        expected, found = ", ".join(op.signature.produced), ", ".join(shapes)
        raise SignatureError(f"{op.name}.shapes: forward makes ({expected}), but shapes were given for ({found})")
    made = {}
    for name in op.signature.produced:
        shape = shapes[name]
        if not (isinstance(shape, tuple) and shape):
            raise SignatureError(f"{op.name}.shapes: {name} is {shape!r}; a shape is a tuple, (1,) for a single number")
        made[name] = new_value(shape[1], shape[0]) if isinstance(shape[0], str) else new_value(shape, format)
    return made


def common_format(op: Op, tensors: Mapping[str, Tensor | None]) -> str:
    """The float format of the inputs. Raises ShapeError where they differ or an input isn't what the op wants."""
    found = ""
    for name, t in tensors.items():
        if t is None:
            continue
        expected = "i" if name in op.integers else found or "fd"
        if t.value.format not in expected:
            wanted = " or ".join(DTYPES[f] for f in expected)
            raise ShapeError(f"{op.name}: {name} has dtype {t.dtype}, expected {wanted}")
        if name not in op.integers:
            found = t.value.format
    return found or "f"
