"""Tensor: a buffer, its gradient, and the call that made it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from microgpt_core import ops
from microgpt_core.components.buffer import DTYPES, FORMATS, Buffer, Shape, flat
from microgpt_core.components.op import Op, show_shape
from microgpt_core.components.signature import REQUIRED
from microgpt_core.engine.context import capturing, context, perform
from microgpt_core.engine.value import Call, Value
from microgpt_core.errors import CaptureError, ShapeError, SignatureError, nearest

Numbers: TypeAlias = "float | Sequence[Numbers]"


@dataclass(slots=True, eq=False)
class Node:
    """What the tape remembers of one call: where its inputs came from, and its outputs' gradients so far."""

    call: Call
    parents: tuple[Tensor | None, ...]  # one for each input of the op
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
        if self.value.data is None:
            what = f"tensor {show_shape(self.shape, self.value.format)}"
            raise CaptureError(
                f"the numbers of this {what} were asked for while only shapes are known (in a capture, or before "
                "memory was allocated); return the tensor from the captured function and read it after the replay"
            )
        return self.value.data

    @property
    def gradient(self) -> Value | None:
        """Where this tensor's gradient accumulates; None before the first backward."""
        return self._gradient if self.node is None else self.node.gradients[self.index]

    @property
    def grad(self) -> Tensor | None:
        """The gradient of the last backward's loss; a leaf adds up those of several backwards."""
        return None if self.gradient is None else Tensor(self.gradient)

    def gradient_value(self) -> Value:
        """The gradient, made of zeros at its first use."""
        if self.gradient is None:
            gradient = Value(self.shape, self.value.format, persistent=self.node is None, gradient_of=self.value)
            if self.node is not None:
                self.node.gradients[self.index] = gradient
            else:
                self._gradient = gradient
                if self.value.data is not None:
                    gradient.allocate()
            return gradient
        return self.gradient

    def zero_grad(self) -> None:
        """Fill the gradient with zeros, if there is one."""
        if self.gradient is not None:
            ops.zero(Tensor(self.gradient))

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
        return flat(self.data)[0]  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        return self.data.tolist()

    def run_op(self, op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
        """How `op(tensor, ...)` gets here: ops know nothing of tensors."""
        return call_op(op, inputs, attributes)

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, operand(other, self))  # type: ignore[no-any-return]

    __radd__ = __add__

    def __sub__(self, other: Any) -> Tensor:
        return ops.sub(self, operand(other, self))  # type: ignore[no-any-return]

    def __rsub__(self, other: Any) -> Tensor:
        return ops.sub(operand(other, self), self)  # type: ignore[no-any-return]

    def __mul__(self, other: Any) -> Tensor:
        if isinstance(other, (int, float)):
            return ops.scale(self, factor=float(other))  # type: ignore[no-any-return]
        return ops.mul(self, operand(other, self))  # type: ignore[no-any-return]

    __rmul__ = __mul__

    def __neg__(self) -> Tensor:
        return ops.scale(self, factor=-1.0)  # type: ignore[no-any-return]

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        if capturing() or self.value.data is None:
            raise CaptureError(
                "the truth of a tensor was asked for in a capture, where there are only shapes: a plan always "
                "runs the same calls, so decide outside of it"
            )
        return bool(self.item())

    def __repr__(self) -> str:
        what = f"{self.dtype} {show_shape(self.shape)}"
        if self.value.data is None:
            return f"tensor({what}, no numbers yet)"
        return f"tensor({show_numbers(self.tolist())}, {what}{', requires_grad' if self.requires_grad else ''})"


def tensor(numbers: Numbers, dtype: str = "float32", requires_grad: bool = False) -> Tensor:
    """A tensor of the numbers in (nested) lists; a single number becomes one of shape (1,).

    An `array.array` or a memoryview is used as it is, without a copy and with its own format. `dtype` is
    float32, float64 or int32. Raises ShapeError for ragged or empty lists.
    """
    if dtype not in FORMATS:
        raise ShapeError(f"unknown dtype {dtype!r}{nearest(dtype, FORMATS)}; allowed: float32, float64, int32")
    format = FORMATS[dtype]
    if isinstance(numbers, (array, memoryview)):
        data = memoryview(numbers)
        return Tensor(Value(data.shape, data.format, data, persistent=True), requires_grad)
    shape, values = measure(numbers if isinstance(numbers, Sequence) else [numbers])
    if 0 in shape:
        raise ShapeError(f"a tensor of shape {show_shape(shape)} has an empty axis; every axis needs at least 1")
    try:
        data = memoryview(array(format, values)).cast("B").cast(format, shape)  # type: ignore[call-overload]
    except (TypeError, OverflowError) as error:
        raise ShapeError(f"not all of these numbers are {dtype}: {error}") from None
    return Tensor(Value(shape, format, data, persistent=True), requires_grad)


def measure(numbers: Sequence[Any]) -> tuple[Shape, list[float]]:
    """The shape of nested lists and their numbers in a row."""
    if not numbers or not isinstance(numbers[0], Sequence):
        if any(isinstance(n, Sequence) for n in numbers):
            raise ShapeError("a tensor needs lists of one length at each level; found a number beside a list")
        return (len(numbers),), list(numbers)
    parts = [measure(part) if isinstance(part, Sequence) else ((), []) for part in numbers]
    if lengths := [shape for shape, _ in parts if shape != parts[0][0]]:
        found = f"{show_shape(parts[0][0])} and {show_shape(lengths[0])}"
        raise ShapeError(f"a tensor needs lists of one length at each level; found parts of shape {found}")
    return (len(parts), *parts[0][0]), [n for _, values in parts for n in values]


def operand(other: Any, like: Tensor) -> Tensor:
    """The right side of an operator: a tensor, or a number spread over the shape of the left."""
    if isinstance(other, Tensor):
        return other
    if isinstance(other, (int, float)):
        data = memoryview(array(like.value.format, [other]) * like.value.size).cast("B")
        return tensor(data.cast(like.value.format, like.shape))  # type: ignore
    raise SignatureError(f"a tensor and {other!r} ({type(other).__name__}) don't combine; make it a tensor first")


def call_op(op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """Compute `op` (or write it down), and remember the call if a gradient may be wanted."""
    tensors, settings = bind(op, inputs, attributes)
    format = common_format(op, tensors)
    signature = op.signature
    shapes = op.shapes(*(None if t is None else t.shape for t in tensors.values()), **settings)
    arguments: dict[str, Value | None] = {}
    for name in signature.produced:
        shape = shapes[name]
        arguments[name] = Value(shape[1], shape[0]) if isinstance(shape[0], str) else Value(shape, format)  # type: ignore
    outputs = [arguments[n] for n in signature.outputs]
    arguments |= {n: None if t is None else t.value for n, t in tensors.items()}
    call = Call(op, "forward", arguments, settings, ".".join(context.scope))
    perform(call)
    wanted = context.gradients and signature.gradients
    node = None
    if wanted and any(t is not None and t.requires_grad for n, t in tensors.items() if n in signature.gradients):
        node = Node(call, tuple(tensors.values()), [None] * len(outputs))
    results = tuple(Tensor(v, node is not None, node, i) for i, v in enumerate(outputs))  # type: ignore[arg-type]
    return results[0] if len(results) == 1 else results or None


def bind(
    op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any]
) -> tuple[dict[str, Tensor | None], dict[str, Any]]:
    """Which tensor is which input and what the attributes are, defaults filled in. Raises SignatureError."""
    signature = op.signature
    if len(inputs) > len(signature.inputs):
        raise SignatureError(f"{op.name}{signature} takes {len(signature.inputs)} inputs, found {len(inputs)}")
    given = dict(zip(signature.inputs, inputs))
    settings = {n: d for n, d in signature.attributes.items() if d is not REQUIRED}
    for name, value in attributes.items():
        if name in given or name not in signature.inputs and name not in signature.attributes:
            known = (*signature.inputs, *signature.attributes)
            problem = "was given twice" if name in given else f"fits nothing{nearest(name, known)}"
            raise SignatureError(f"{op.name}{signature}: {name!r} {problem}")
        (given if name in signature.inputs else settings)[name] = value
    for name in signature.inputs:
        value = given.setdefault(name, None)
        if not (isinstance(value, Tensor) or value is None and name in signature.optional):
            found = f"{value!r} ({type(value).__name__})" if value is not None else "nothing"
            raise SignatureError(f"{op.name}{signature}: {name} must be a Tensor, found {found}")
    for name in signature.attributes:
        if name not in settings:
            raise SignatureError(f"{op.name}{signature}: the attribute {name} is missing")
    return {n: given[n] for n in signature.inputs}, settings


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


def show_numbers(numbers: Any) -> str:
    """Nested lists with four significant digits, long ones shortened in the middle."""
    if not isinstance(numbers, list):
        return f"{numbers:.4g}" if isinstance(numbers, float) else str(numbers)
    shown = [show_numbers(n) for n in (numbers if len(numbers) <= 8 else numbers[:4] + numbers[-3:])]
    if len(numbers) > 8:
        shown.insert(4, "...")
    return f"[{', '.join(shown)}]"
